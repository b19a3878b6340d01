#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "tomograph/select/selection.h"

namespace tomograph {

/// What scores leave out of the vectors that a selection reads.
struct LeftOut {
    std::int64_t axes = 0;  ///< the fewest of a site; 0: the vectors themselves are read, or means
    double share = 0;       ///< of a vector's squared norm, the mean over the sites' rows

    /// "the run keeps scores on 64 axes …"; "" where nothing is left out.
    std::string note() const;
};
/// `sites` that rows are read from; those that the run has not are passed over.
LeftOut left_out(const Run& run, const std::vector<Site>& sites);

}  // namespace tomograph
