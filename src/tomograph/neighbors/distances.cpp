#include "tomograph/neighbors/distances.h"

#include <algorithm>

#include "tomograph/linear/panels.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tomograph {
namespace {

template <int Width>
[[gnu::always_inline]] inline float squared_distance(const float* a, const float* b, std::int64_t width) {
    using V = typename Lanes<Width>::type;
    constexpr int chains = 16 / Width > 2 ? 16 / Width : 2;  // independent sums hide the latency of adding
    V sums[chains] = {};
    std::int64_t t = 0;
    for (; t + chains * Width <= width; t += chains * Width) {
        for (int c = 0; c < chains; ++c) {
            const V difference = *reinterpret_cast<const V*>(a + t + c * Width) -
                                 *reinterpret_cast<const V*>(b + t + c * Width);
            sums[c] += difference * difference;
        }
    }
    for (; t < width; t += Width) {
        const V difference = *reinterpret_cast<const V*>(a + t) - *reinterpret_cast<const V*>(b + t);
        sums[0] += difference * difference;
    }
    for (int c = 1; c < chains; ++c) sums[0] += sums[c];
    float sum = 0;
    for (int lane = 0; lane < Width; ++lane) sum += sums[0][lane];
    return sum;
}

template <int Width>
[[gnu::always_inline]] inline void squared_distances_to(const float* query, const float* rows,
                                                        std::int64_t width, const std::int32_t* ids,
                                                        std::int64_t n, float* out) {
    constexpr std::int64_t ahead = 3;
    for (std::int64_t i = 0; i < n; ++i) {
        if (i + ahead < n) {
            const float* next = rows + ids[i + ahead] * width;
            for (std::int64_t t = 0; t < width; t += 16) __builtin_prefetch(next + t);
        }
        out[i] = squared_distance<Width>(query, rows + ids[i] * width, width);
    }
}

#if defined(__x86_64__)
TOMOGRAPH_AVX2 void squared_distances_avx2(const float* query, const float* rows, std::int64_t width,
                                           const std::int32_t* ids, std::int64_t n, float* out) {
    squared_distances_to<8>(query, rows, width, ids, n, out);
}
TOMOGRAPH_AVX512 void squared_distances_avx512(const float* query, const float* rows, std::int64_t width,
                                               const std::int32_t* ids, std::int64_t n, float* out) {
    squared_distances_to<16>(query, rows, width, ids, n, out);
}
TOMOGRAPH_AVX512 std::uint64_t above_avx512(const float* scores, const float* minus, float threshold) {
    const __m512 t = _mm512_set1_ps(threshold);
    std::uint64_t bits = 0;
    for (int j = 0; j < 3; ++j) {
        const __m512 value = _mm512_sub_ps(_mm512_loadu_ps(scores + 16 * j), _mm512_loadu_ps(minus + 16 * j));
        bits |= static_cast<std::uint64_t>(_mm512_cmp_ps_mask(value, t, _CMP_GT_OQ)) << (16 * j);
    }
    return bits;
}
TOMOGRAPH_AVX2 std::uint64_t above_avx2(const float* scores, const float* minus, float threshold) {
    const __m256 t = _mm256_set1_ps(threshold);
    std::uint64_t bits = 0;
    for (int j = 0; j < 6; ++j) {
        const __m256 value = _mm256_sub_ps(_mm256_loadu_ps(scores + 8 * j), _mm256_loadu_ps(minus + 8 * j));
        const auto mask = static_cast<unsigned>(_mm256_movemask_ps(_mm256_cmp_ps(value, t, _CMP_GT_OQ)));
        bits |= static_cast<std::uint64_t>(mask) << (8 * j);
    }
    return bits;
}
#endif

}  // namespace

void squared_distances(const float* query, const float* rows, std::int64_t width, const std::int32_t* ids,
                       std::int64_t n, float* out, [[maybe_unused]] SimdLevel level) {
#if defined(__x86_64__)
    if (level >= SimdLevel::avx512) return squared_distances_avx512(query, rows, width, ids, n, out);
    if (level == SimdLevel::avx2) return squared_distances_avx2(query, rows, width, ids, n, out);
#endif
    squared_distances_to<4>(query, rows, width, ids, n, out);
}

std::uint64_t above(const float* scores, const float* minus, float threshold,
                    [[maybe_unused]] SimdLevel level) {
#if defined(__x86_64__)
    if (level >= SimdLevel::avx512) return above_avx512(scores, minus, threshold);
    if (level == SimdLevel::avx2) return above_avx2(scores, minus, threshold);
#endif
    std::uint64_t bits = 0;
    for (std::int64_t j = 0; j < panel_width; ++j) {
        bits |= static_cast<std::uint64_t>(scores[j] - minus[j] > threshold) << j;
    }
    return bits;
}

}  // namespace tomograph
