#pragma once
#include <cstdint>

#include "tomograph/linear/simd.h"

namespace tomograph {

/// What the distance of a row to a query is made of, however the row is normalised.
struct RowProducts {
    float dot = 0;      ///< query . row
    float squares = 0;  ///< row . row
    float sum = 0;      ///< of the row's coordinates
};

/// Of `n` rows, row-major [n, width], with `query` [width]; float32, in one reading. Levels add up in
/// different orders, so their results differ by rounding.
void row_products(const float* query, const float* rows, std::int64_t width, std::int64_t n, RowProducts* out,
                  SimdLevel level = simd_level());

}  // namespace tomograph
