#pragma once
#include <cstdint>
#include <string>

#include "tomograph/base/error.h"

namespace tomograph {

/// A row holds NaN or Inf. `row` is its index in the RowSource, so that a caller who knows where rows come
/// from can name the site and the token instead.
class NonFinite : public Error {
  public:
    explicit NonFinite(std::int64_t row_index)
        : Error("row " + std::to_string(row_index) + " holds NaN or Inf",
                "its vector cannot be averaged or compared",
                "leave that row out, or capture it again in float32"),
          row(row_index) {}
    const std::int64_t row;
};

/// Errors: NonFinite naming the first bad row of rows [n_rows, dim], the first of which is `first_row`
/// overall.
void require_finite(const float* rows, std::int64_t n_rows, std::int64_t dim, std::int64_t first_row);

}  // namespace tomograph
