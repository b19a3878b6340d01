#pragma once
#include <cstdint>
#include <vector>

#include "tomograph/base/json.h"
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
/// {"rows", "distances", "n_searched"}.
Json nearest_json(const Nearest& nearest);

/// The rows that a projection was made of. Errors: Error when the run no longer gives them.
SelectedRows rows_of(const Run& run, const Projection& projection);

/// The k rows nearest to one of them in the full space, by comparing it with every other row, block by block,
/// as the rows lie in the run's files; at most `most_numbers` coordinates are read, evenly spread segments of
/// rows beyond that. Rows that are not finite are nobody's neighbours. Errors: Error when there is no such
/// row.
Nearest nearest_rows(const SelectedRows& rows, std::int64_t row, int k,
                     std::int64_t most_numbers = std::int64_t{1} << 29);

/// The same of a vector that is none of the rows, [dim], normalised as they are. Errors: Error when its width
/// is another.
Nearest nearest_to(const SelectedRows& rows, const Vector& query, int k,
                   std::int64_t most_numbers = std::int64_t{1} << 29);

}  // namespace tomograph
