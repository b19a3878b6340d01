#pragma once
#include <cstdint>
#include <vector>

#include "tomograph/maps/projection.h"
#include "tomograph/store/run.h"

namespace tomograph {

struct NearestRow {
    std::int64_t row = 0;  ///< of the projection
    double distance = 0;   ///< euclidean, in the space that the projection was made of
};
struct Nearest {
    std::vector<NearestRow> rows;  ///< nearest first
    std::int64_t n_searched = 0;
};

/// The k rows nearest to a projection's row in the full space, by comparing it with every other row, block by
/// block; at most `most_numbers` coordinates are read, evenly spread segments of rows beyond that. Errors:
/// Error when the run no longer gives the rows that the projection was made of.
Nearest nearest_rows(const Run& run, const Projection& projection, std::int64_t row, int k,
                     std::int64_t most_numbers = std::int64_t{1} << 29);

}  // namespace tomograph
