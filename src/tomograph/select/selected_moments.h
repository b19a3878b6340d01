#pragma once
#include <vector>

#include "tomograph/linear/moments.h"
#include "tomograph/select/selection.h"

namespace tomograph {

/// What is known of a selection's sites without reading a vector.
struct SelectedMoments {
    /// Of all tokens at these sites; where scores are kept, of what the scores stand for, about the vectors'
    /// own means.
    Moments moments;
    /// Of the vectors themselves, all coordinates together: more than that of `moments` where scores leave
    /// something out.
    double total_variance = 0;
    std::vector<Site> sites;  ///< in network order
    Matrix site_means;        ///< [sites, width]
};

/// From a run that keeps moments (`capture --keep moments`). Of the selection its components and layers
/// count: moments are of all tokens of a site, but for those that are not finite and those outside the means.
/// Memory: 16 width^2. Errors: Error when the run keeps no moments, when the selection normalises (that of a
/// vector is not known from moments), and those of select() for components and layers.
SelectedMoments select_moments(const Run& run, const Selection& selection);

}  // namespace tomograph
