#pragma once
#include <cstdint>

#include "tomograph/linear/simd.h"

namespace tomograph {

/// The innermost loop of the product kernels: for i < Rows and j < Vectors * Width,
/// out[i * out_step + j] = or += sum over t < n of left[i * left_row + t * left_step] * right[t * right_step
/// + j], in order of t. Rows * Vectors sums live in registers: 24 fit AVX-512's 32, 12 fit AVX2's and
/// SSE's 16.
template <int Width, int Rows, int Vectors>
[[gnu::always_inline]] inline void multiply_tile(const float* left, std::int64_t left_row,
                                                 std::int64_t left_step, const float* right,
                                                 std::int64_t right_step, std::int64_t n, float* out,
                                                 std::int64_t out_step, bool add) {
    using V = typename Lanes<Width>::type;
    V sum[Rows][Vectors];
#pragma GCC unroll 12
    for (int row = 0; row < Rows; ++row) {
        for (int v = 0; v < Vectors; ++v)
            sum[row][v] = add ? *reinterpret_cast<const V*>(out + row * out_step + v * Width) : V{};
    }
    for (std::int64_t t = 0; t < n; ++t, right += right_step) {
        V r[Vectors];
        for (int v = 0; v < Vectors; ++v) r[v] = *reinterpret_cast<const V*>(right + v * Width);
#pragma GCC unroll 12
        for (int row = 0; row < Rows; ++row) {
            const V l = left[row * left_row + t * left_step] - V{};  // broadcast
            for (int v = 0; v < Vectors; ++v) sum[row][v] += l * r[v];
        }
    }
#pragma GCC unroll 12
    for (int row = 0; row < Rows; ++row) {
        for (int v = 0; v < Vectors; ++v)
            *reinterpret_cast<V*>(out + row * out_step + v * Width) = sum[row][v];
    }
}

}  // namespace tomograph
