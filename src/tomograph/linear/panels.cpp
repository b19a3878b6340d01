#include "tomograph/linear/panels.h"

#include <algorithm>

#include "tomograph/base/memory.h"
#include "tomograph/linear/tile.h"

namespace tomograph {
namespace {

constexpr int P = panel_width;

/// Values of a vector that are multiplied in one go: what two panels hold of them stays in the nearest cache.
constexpr std::int64_t depth = 96;

template <int Width, int Rows>
[[gnu::always_inline]] inline void multiply(const float* a, const float* b, std::int64_t k, float* tile) {
    static_assert(P % (3 * Width) == 0 && P % Rows == 0);
    std::fill_n(tile, tile_size, 0.0f);
    for (std::int64_t begin = 0; begin < k; begin += depth, a += depth * P, b += depth * P) {
        const std::int64_t n = std::min(depth, k - begin);
        for (int j = 0; j < P; j += 3 * Width) {
            for (int i = 0; i < P; i += Rows)
                multiply_tile<Width, Rows, 3>(a + i, 1, P, b + j, P, n, tile + i * P + j, P, true);
        }
    }
}

#if defined(__x86_64__)
TOMOGRAPH_AVX2 void multiply_avx2(const float* a, const float* b, std::int64_t k, float* tile) {
    multiply<8, 4>(a, b, k, tile);
}
TOMOGRAPH_AVX512 void multiply_avx512(const float* a, const float* b, std::int64_t k, float* tile) {
    multiply<16, 8>(a, b, k, tile);
}
#endif

}  // namespace

void multiply_panels(const float* a, const float* b, std::int64_t k, float* tile,
                     [[maybe_unused]] SimdLevel level) {
#if defined(__x86_64__)
    if (level >= SimdLevel::avx512) return multiply_avx512(a, b, k, tile);
    if (level == SimdLevel::avx2) return multiply_avx2(a, b, k, tile);
#endif
    multiply<4, 4>(a, b, k, tile);
}

void pack_panel(const float* rows, std::int64_t n_rows, std::int64_t k, std::int64_t stride, float* panel) {
    // 16 x 16 squares: reads stay within a few cache lines of each row, writes within a few of the panel.
    constexpr std::int64_t square = 16;
    for (std::int64_t t0 = 0; t0 < k; t0 += square) {
        const std::int64_t t1 = std::min(t0 + square, k);
        for (std::int64_t i0 = 0; i0 < panel_width; i0 += square) {
            for (std::int64_t i = i0; i < i0 + square; ++i) {
                if (i < n_rows) {
                    for (std::int64_t t = t0; t < t1; ++t) panel[t * P + i] = rows[i * stride + t];
                } else {
                    for (std::int64_t t = t0; t < t1; ++t) panel[t * P + i] = 0;
                }
            }
        }
    }
}

FloatBuffer make_float_buffer(std::int64_t count) {
    return FloatBuffer(
        static_cast<float*>(allocate_aligned(static_cast<std::size_t>(count) * sizeof(float))));
}

}  // namespace tomograph
