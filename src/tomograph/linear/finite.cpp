#include "tomograph/linear/finite.h"

#include <bit>

namespace tomograph {

void require_finite(const float* rows, std::int64_t n_rows, std::int64_t dim, std::int64_t first_row) {
    constexpr std::uint32_t exponent = 0x7f800000;  // all ones in NaN and Inf only
    for (std::int64_t row = 0; row < n_rows; ++row) {
        std::uint32_t bad = 0;
        for (std::int64_t i = 0; i < dim; ++i) {
            bad |= (std::bit_cast<std::uint32_t>(rows[row * dim + i]) & exponent) == exponent;
        }
        if (bad) throw NonFinite(first_row + row);
    }
}

}  // namespace tomograph
