#pragma once
// A run's tokens held against another run that says what is ordinary. For use inside findings/ only.
#include "tomograph/findings/subject.h"

namespace tomograph {

/// What is found, most odd first, and the test's numbers.
struct ReferenceOutliers {
    std::vector<Outlier> outliers;
    OutlierTest test;
};

/// Half of the reference's sequences, drawn by seed, fit the model of what is ordinary at each site; the
/// other half's scores, the surprise of a token summed over sites, give each token of the run its conformal
/// p-value, and Benjamini & Hochberg say which stand out. Sinks and the first position take no part on either
/// side. Errors: Error when the reference is of another model or width, shares no site, or has too few
/// sequences; Stopped.
ReferenceOutliers test_against_reference(const Subject& subject);

/// Errors: as test_against_reference(), as far as they can be known before anything is read.
void require_reference(const Run& run, const Run& reference);

}  // namespace tomograph
