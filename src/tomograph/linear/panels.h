#pragma once
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "tomograph/linear/simd.h"

namespace tomograph {

/// The one matrix product of the reducers: tiles of dot products between vectors stored in panels.
///
/// A panel holds `panel_width` vectors of length k, interleaved: element t of vector i is at panel[t * 48 +
/// i]. Every product in PCA and in the neighbour search is then a row of the same small square tile, which
/// keeps its sums in registers. Why not BLAS: on these shapes it is about twice as fast (bench/reduce_bench
/// kernel), and it cannot start threads of its own, so equal inputs give equal bytes at any number of
/// threads.
constexpr std::int64_t panel_width = 48;
constexpr std::int64_t tile_size = panel_width * panel_width;

/// Floats of a panel of vectors of length k.
constexpr std::int64_t panel_floats(std::int64_t k) {
    return k * panel_width;
}
/// Panels that hold n vectors.
constexpr std::int64_t panels_for(std::int64_t n) {
    return (n + panel_width - 1) / panel_width;
}

/// tile[i * 48 + j] = sum over t < k of a[t * 48 + i] * b[t * 48 + j], float32, summed in order of t.
/// `tile` [48, 48] is overwritten. Levels agree but for the rounding of a product that is fused with its sum.
void multiply_panels(const float* a, const float* b, std::int64_t k, float* tile,
                     SimdLevel level = simd_level());

/// Interleave up to 48 rows (row-major, `stride` floats apart, k long); missing ones become zero.
void pack_panel(const float* rows, std::int64_t n_rows, std::int64_t k, std::int64_t stride, float* panel);

struct FreeDeleter {
    void operator()(void* p) const { std::free(p); }
};
/// Uninitialised floats on a cache line's boundary.
using FloatBuffer = std::unique_ptr<float[], FreeDeleter>;
FloatBuffer make_float_buffer(std::int64_t count);

}  // namespace tomograph
