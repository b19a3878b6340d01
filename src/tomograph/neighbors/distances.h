#pragma once
#include <cstdint>

#include "tomograph/linear/simd.h"

namespace tomograph {

/// out[i] = |query - rows[ids[i]]|^2 for i < n, in float32 from differences (no cancellation for near
/// duplicates). rows: row-major, `width` floats each, width a multiple of 16. Fetches ahead. Levels add up in
/// different orders, so their results differ by rounding.
void squared_distances(const float* query, const float* rows, std::int64_t width, const std::int32_t* ids,
                       std::int64_t n, float* out, SimdLevel level = simd_level());

/// Bit j is set where scores[j] - minus[j] > threshold, for j < 48: which entries of a tile's row are worth a
/// look. Levels agree to the bit.
std::uint64_t above(const float* scores, const float* minus, float threshold, SimdLevel level = simd_level());

}  // namespace tomograph
