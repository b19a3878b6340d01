#include "tomograph/neighbors/row_products.h"

namespace tomograph {
namespace {

template <int Width>
[[gnu::always_inline]] inline RowProducts products_of(const float* query, const float* row,
                                                      std::int64_t width) {
    using V = typename Lanes<Width>::type;
    constexpr int chains = 2;  // independent sums hide the latency of adding
    V dots[chains] = {}, squares[chains] = {}, sums[chains] = {};
    std::int64_t t = 0;
    for (; t + chains * Width <= width; t += chains * Width) {
        for (int c = 0; c < chains; ++c) {
            const V q = *reinterpret_cast<const V*>(query + t + c * Width);
            const V r = *reinterpret_cast<const V*>(row + t + c * Width);
            dots[c] += q * r;
            squares[c] += r * r;
            sums[c] += r;
        }
    }
    dots[0] += dots[1];
    squares[0] += squares[1];
    sums[0] += sums[1];
    RowProducts out;
    for (int lane = 0; lane < Width; ++lane) {
        out.dot += dots[0][lane];
        out.squares += squares[0][lane];
        out.sum += sums[0][lane];
    }
    for (; t < width; ++t) {
        out.dot += query[t] * row[t];
        out.squares += row[t] * row[t];
        out.sum += row[t];
    }
    return out;
}

template <int Width>
[[gnu::always_inline]] inline void products_of_all(const float* query, const float* rows, std::int64_t width,
                                                   std::int64_t n, RowProducts* out) {
    for (std::int64_t i = 0; i < n; ++i) out[i] = products_of<Width>(query, rows + i * width, width);
}

#if defined(__x86_64__)
TOMOGRAPH_AVX2 void row_products_avx2(const float* query, const float* rows, std::int64_t width,
                                      std::int64_t n, RowProducts* out) {
    products_of_all<8>(query, rows, width, n, out);
}
TOMOGRAPH_AVX512 void row_products_avx512(const float* query, const float* rows, std::int64_t width,
                                          std::int64_t n, RowProducts* out) {
    products_of_all<16>(query, rows, width, n, out);
}
#endif

}  // namespace

void row_products(const float* query, const float* rows, std::int64_t width, std::int64_t n, RowProducts* out,
                  [[maybe_unused]] SimdLevel level) {
#if defined(__x86_64__)
    if (level >= SimdLevel::avx512) return row_products_avx512(query, rows, width, n, out);
    if (level == SimdLevel::avx2) return row_products_avx2(query, rows, width, n, out);
#endif
    products_of_all<4>(query, rows, width, n, out);
}

}  // namespace tomograph
