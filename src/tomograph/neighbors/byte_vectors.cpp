#include "tomograph/neighbors/byte_vectors.h"

#include <algorithm>
#include <cmath>

#include "tomograph/base/memory.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tomograph {
namespace {

/// Coordinates mixed together, and bytes of the widest register.
constexpr std::int64_t block = 64;

/// The largest code. Seven bits find the neighbours that eight find, with half of AVX2's instructions: two
/// products of a code that is raised by 64 with another, and two more, fit into 16 bits.
constexpr std::int32_t most = 63;

/// v <- H v / 8, orthogonal.
void hadamard(float* v) {
    for (std::int64_t half = 1; half < block; half *= 2) {
        for (std::int64_t start = 0; start < block; start += 2 * half) {
            for (std::int64_t i = start; i < start + half; ++i) {
                const float a = v[i], b = v[i + half];
                v[i] = a + b;
                v[i + half] = a - b;
            }
        }
    }
    for (std::int64_t i = 0; i < block; ++i) v[i] *= 0.125f;
}

[[gnu::always_inline]] inline void fetch(const std::int8_t* code, std::int64_t width) {
    for (std::int64_t t = 0; t < width; t += block) __builtin_prefetch(code + t);
}

#if defined(__x86_64__)
/// What a query's codes are raised by, so that none is below 0.
constexpr std::int8_t raised = 64;

TOMOGRAPH_AVX2 inline void raise_codes(const std::int8_t* code, std::int64_t width, std::uint8_t* out) {
    for (std::int64_t t = 0; t < width; ++t) out[t] = static_cast<std::uint8_t>(code[t] + raised);
}

TOMOGRAPH_AVX2 inline __m256i load(const void* from) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(from));
}

/// sum += a . b over 64 codes, raised ones in `a`. The products of four, at most 127 * 63 each, fit into 16
/// bits.
TOMOGRAPH_AVX2 inline void add_products(__m256i& sum, const __m256i* a, const __m256i* b) {
    const __m256i pairs =
        _mm256_add_epi16(_mm256_maddubs_epi16(a[0], b[0]), _mm256_maddubs_epi16(a[1], b[1]));
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

/// The sums of four registers, in order.
TOMOGRAPH_AVX2 inline __m128i sum_lanes(const __m256i* s) {
    const __m256i halves = _mm256_hadd_epi32(_mm256_hadd_epi32(s[0], s[1]), _mm256_hadd_epi32(s[2], s[3]));
    return _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
}

/// sum += a . b in groups of four bytes. As an intrinsic, GCC 12 copies the sums around in every step.
[[gnu::always_inline]] inline void add_products(__m512i& sum, const __m512i& a, const __m512i& b) {
    asm("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
}

TOMOGRAPH_VNNI inline __m512 each_four_times(const float* four) {
    const __m512i lanes = _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
    return _mm512_permutexvar_ps(lanes, _mm512_castps128_ps512(_mm_loadu_ps(four)));
}

/// The sums of 16 registers, in order.
TOMOGRAPH_VNNI inline __m512i sum_lanes(const __m512i* s) {
    __m512i pairs[8], fours[4], wide[2];
    for (int i = 0; i < 8; ++i) {
        pairs[i] = _mm512_add_epi32(_mm512_unpacklo_epi32(s[2 * i], s[2 * i + 1]),
                                    _mm512_unpackhi_epi32(s[2 * i], s[2 * i + 1]));
    }
    for (int i = 0; i < 4; ++i) {
        fours[i] = _mm512_add_epi32(_mm512_unpacklo_epi64(pairs[2 * i], pairs[2 * i + 1]),
                                    _mm512_unpackhi_epi64(pairs[2 * i], pairs[2 * i + 1]));
    }
    for (int i = 0; i < 2; ++i) {
        wide[i] = _mm512_add_epi32(_mm512_shuffle_i32x4(fours[2 * i], fours[2 * i + 1], 0x88),
                                   _mm512_shuffle_i32x4(fours[2 * i], fours[2 * i + 1], 0xdd));
    }
    return _mm512_add_epi32(_mm512_shuffle_i32x4(wide[0], wide[1], 0x88),
                            _mm512_shuffle_i32x4(wide[0], wide[1], 0xdd));
}
#endif

}  // namespace

/// The loops over codes. VNNI multiplies unsigned by signed bytes, so there the query's codes are raised by
/// 128, and 128 times the sum of the other's is taken off.
struct ByteKernels {
    static const std::int8_t* code(const ByteVectors& v, std::int64_t i) {
        return v.codes_.get() + i * v.width_;
    }
    static float score(const ByteVectors& a, std::int64_t i, const ByteVectors& b, std::int64_t j,
                       std::int32_t dot) {
        return static_cast<float>(dot) * (a.scales_[i] * b.scales_[j]) -
               (a.half_norms_[i] + b.half_norms_[j]);
    }

#if defined(__x86_64__)
    /// Two vectors meet four queries at a time: eight sums stay in registers.
    TOMOGRAPH_AVX2 static void tile_avx2(const ByteVectors& a, std::int64_t first_a, std::int64_t n_a,
                                         const ByteVectors& b, std::int64_t first_b, std::int64_t n_b,
                                         std::int64_t stride, float* out) {
        constexpr std::int64_t together = 4;
        std::vector<std::uint8_t> raised_codes(together * b.width_);
        for (std::int64_t i = 0; i < n_a; i += together) {
            const std::uint8_t* query[together];
            for (std::int64_t q = 0; q < together; ++q) {  // beyond the end: the last once more
                std::uint8_t* codes = raised_codes.data() + q * b.width_;
                raise_codes(code(a, first_a + std::min(i + q, n_a - 1)), b.width_, codes);
                query[q] = codes;
            }
            const std::int64_t n_queries = std::min(together, n_a - i);
            const __m128 scale_a = _mm_loadu_ps(a.scales_.data() + first_a + i),
                         half_a = _mm_loadu_ps(a.half_norms_.data() + first_a + i);
            for (std::int64_t j = 0; j < n_b; j += 2) {
                const std::int64_t other = std::min(j + 1, n_b - 1);
                const std::int8_t *left = code(b, first_b + j), *right = code(b, first_b + other);
                __m256i s[2 * together];
#pragma GCC unroll 8
                for (int x = 0; x < 2 * together; ++x) s[x] = _mm256_setzero_si256();
                for (std::int64_t t = 0; t < b.width_; t += block) {
                    const __m256i l[2] = {load(left + t), load(left + t + 32)},
                                  r[2] = {load(right + t), load(right + t + 32)};
#pragma GCC unroll 4
                    for (int q = 0; q < together; ++q) {
                        const __m256i of[2] = {load(query[q] + t), load(query[q] + t + 32)};
                        add_products(s[q], of, l);
                        add_products(s[together + q], of, r);
                    }
                }
                const auto write = [&](std::int64_t at, const __m256i* sums)
                    __attribute__((target("avx2,fma"))) {
                    const __m128i dots =
                        _mm_sub_epi32(sum_lanes(sums), _mm_set1_epi32(raised * b.sums_[first_b + at]));
                    const __m128 scale = _mm_mul_ps(scale_a, _mm_set1_ps(b.scales_[first_b + at])),
                                 half = _mm_add_ps(half_a, _mm_set1_ps(b.half_norms_[first_b + at]));
                    alignas(16) float scores[together];
                    _mm_store_ps(scores, _mm_fmsub_ps(_mm_cvtepi32_ps(dots), scale, half));
                    for (std::int64_t q = 0; q < n_queries; ++q) out[(i + q) * stride + at] = scores[q];
                };
                write(other, s + together);
                write(j, s);
            }
        }
    }

    TOMOGRAPH_AVX2 static void ids_avx2(const ByteVectors& a, std::int64_t i, const ByteVectors& b,
                                        const std::int32_t* ids, std::int64_t n, float* out) {
        std::vector<std::uint8_t> query(b.width_);
        raise_codes(code(a, i), b.width_, query.data());
        for (std::int64_t first = 0; first < n; first += 4) {
            for (auto j = first + 4; j < std::min(first + 8, n); ++j) fetch(code(b, ids[j]), b.width_);
            const std::int8_t* right[4];
            for (int c = 0; c < 4; ++c) right[c] = code(b, ids[std::min(first + c, n - 1)]);
            __m256i s[4];
#pragma GCC unroll 4
            for (int c = 0; c < 4; ++c) s[c] = _mm256_setzero_si256();
            for (std::int64_t t = 0; t < b.width_; t += block) {
                const __m256i of[2] = {load(query.data() + t), load(query.data() + t + 32)};
#pragma GCC unroll 4
                for (int c = 0; c < 4; ++c) {
                    const __m256i r[2] = {load(right[c] + t), load(right[c] + t + 32)};
                    add_products(s[c], of, r);
                }
            }
            alignas(16) std::int32_t dots[4];
            _mm_store_si128(reinterpret_cast<__m128i*>(dots), sum_lanes(s));
            for (int c = 0; c < std::min<std::int64_t>(4, n - first); ++c) {
                const std::int32_t id = ids[first + c];
                out[first + c] = score(a, i, b, id, dots[c] - raised * b.sums_[id]);
            }
        }
    }

    TOMOGRAPH_VNNI static void tile_vnni(const ByteVectors& a, std::int64_t first_a, std::int64_t n_a,
                                         const ByteVectors& b, std::int64_t first_b, std::int64_t n_b,
                                         std::int64_t stride, float* out) {
        const __m512i raise = _mm512_set1_epi8(-128);
        for (std::int64_t j = 0; j < n_b; j += 4) {
            const std::int8_t* right[4];  // beyond the end: the last once more
            for (int c = 0; c < 4; ++c) right[c] = code(b, first_b + std::min(j + c, n_b - 1));
            const __m512i sum_b = _mm512_broadcast_i32x4(
                _mm_loadu_si128(reinterpret_cast<const __m128i*>(b.sums_.data() + first_b + j)));
            const __m512 scale_b = _mm512_broadcast_f32x4(_mm_loadu_ps(b.scales_.data() + first_b + j));
            const __m512 half_b = _mm512_broadcast_f32x4(_mm_loadu_ps(b.half_norms_.data() + first_b + j));
            for (std::int64_t i = 0; i < n_a; i += 4) {
                if (i < 16 && j + 4 + i / 4 < n_b) fetch(right[3] + (1 + i / 4) * b.width_, b.width_);
                const std::int8_t* left[4];
                for (int r = 0; r < 4; ++r) left[r] = code(a, first_a + std::min(i + r, n_a - 1));
                __m512i s[16];
#pragma GCC unroll 16
                for (int x = 0; x < 16; ++x) s[x] = _mm512_setzero_si512();
                for (std::int64_t t = 0; t < b.width_; t += block) {
                    __m512i r[4];
#pragma GCC unroll 4
                    for (int c = 0; c < 4; ++c) r[c] = _mm512_loadu_si512(right[c] + t);
#pragma GCC unroll 4
                    for (int q = 0; q < 4; ++q) {
                        const __m512i l = _mm512_xor_si512(_mm512_loadu_si512(left[q] + t), raise);
#pragma GCC unroll 4
                        for (int c = 0; c < 4; ++c) add_products(s[4 * q + c], l, r[c]);
                    }
                }
                const __m512 dots =
                    _mm512_cvtepi32_ps(_mm512_sub_epi32(sum_lanes(s), _mm512_slli_epi32(sum_b, 7)));
                const __m512 scale_a = each_four_times(a.scales_.data() + first_a + i),
                             half_a = each_four_times(a.half_norms_.data() + first_a + i);
                const __m512 scores = _mm512_sub_ps(_mm512_mul_ps(dots, _mm512_mul_ps(scale_a, scale_b)),
                                                    _mm512_add_ps(half_a, half_b));
                const std::int64_t last = n_a - i;
                float* to = out + i * stride + j;
                _mm_storeu_ps(to, _mm512_extractf32x4_ps(scores, 0));
                if (last > 1) _mm_storeu_ps(to + stride, _mm512_extractf32x4_ps(scores, 1));
                if (last > 2) _mm_storeu_ps(to + 2 * stride, _mm512_extractf32x4_ps(scores, 2));
                if (last > 3) _mm_storeu_ps(to + 3 * stride, _mm512_extractf32x4_ps(scores, 3));
            }
        }
    }

    TOMOGRAPH_VNNI static void ids_vnni(const ByteVectors& a, std::int64_t i, const ByteVectors& b,
                                        const std::int32_t* ids, std::int64_t n, float* out) {
        const __m512i raise = _mm512_set1_epi8(-128);
        const std::int8_t* left = code(a, i);
        for (std::int64_t first = 0; first < n; first += 16) {
            for (auto j = first + 16; j < std::min(first + 32, n); ++j) fetch(code(b, ids[j]), b.width_);
            const std::int8_t* right[16];
#pragma GCC unroll 16
            for (int c = 0; c < 16; ++c) right[c] = code(b, ids[std::min(first + c, n - 1)]);
            __m512i s[16];
#pragma GCC unroll 16
            for (int c = 0; c < 16; ++c) s[c] = _mm512_setzero_si512();
            for (std::int64_t t = 0; t < b.width_; t += block) {
                const __m512i l = _mm512_xor_si512(_mm512_loadu_si512(left + t), raise);
#pragma GCC unroll 16
                for (int c = 0; c < 16; ++c) add_products(s[c], l, _mm512_loadu_si512(right[c] + t));
            }
            alignas(64) std::int32_t dots[16];
            _mm512_store_si512(dots, sum_lanes(s));
            for (int c = 0; c < std::min<std::int64_t>(16, n - first); ++c) {
                const std::int32_t id = ids[first + c];
                out[first + c] = score(a, i, b, id, dots[c] - 128 * b.sums_[id]);
            }
        }
    }
#endif

    static std::int32_t plain_dot(const ByteVectors& a, std::int64_t i, const ByteVectors& b,
                                  std::int64_t j) {
        const std::int8_t *left = code(a, i), *right = code(b, j);
        std::int32_t sum = 0;
        for (std::int64_t t = 0; t < b.width_; ++t) sum += static_cast<std::int16_t>(left[t]) * right[t];
        return sum;
    }
};

ByteVectors::ByteVectors(std::int64_t n, std::int64_t dim)
    : dim_(dim), width_((dim + block - 1) / block * block), scales_(n + 4), half_norms_(n + 4), sums_(n + 4) {
    codes_.reset(static_cast<std::int8_t*>(allocate_aligned(static_cast<std::size_t>(n * width_))));
}

void ByteVectors::set(std::int64_t position, const float* vector, const Vector& center) {
    std::vector<float> mixed(width_, 0.0f);
    for (std::int64_t t = 0; t < dim_; ++t) mixed[t] = vector[t] - center[t];
    float largest = 0;
    for (std::int64_t t = 0; t < width_; t += block) hadamard(mixed.data() + t);
    for (const float value : mixed) largest = std::max(largest, std::fabs(value));
    const float scale = largest / most, inverse = largest > 0 ? most / largest : 0.0f;
    std::int8_t* code = codes_.get() + position * width_;
    std::int32_t sum = 0, squares = 0;
    for (std::int64_t t = 0; t < width_; ++t) {
        const auto rounded =
            std::clamp(static_cast<std::int32_t>(std::nearbyintf(mixed[t] * inverse)), -most, most);
        code[t] = static_cast<std::int8_t>(rounded);
        sum += rounded;
        squares += rounded * rounded;
    }
    scales_[position] = scale;
    sums_[position] = sum;
    half_norms_[position] = 0.5f * scale * scale * static_cast<float>(squares);
}

void ByteVectors::score_tile(const ByteVectors& queries, std::int64_t first_query, std::int64_t n_queries,
                             std::int64_t first, std::int64_t n, std::int64_t stride, float* out,
                             SimdLevel level) const {
#if defined(__x86_64__)
    if (level == SimdLevel::vnni) {
        return ByteKernels::tile_vnni(queries, first_query, n_queries, *this, first, n, stride, out);
    }
    if (level != SimdLevel::plain) {
        return ByteKernels::tile_avx2(queries, first_query, n_queries, *this, first, n, stride, out);
    }
#endif
    for (std::int64_t j = 0; j < n; ++j) {
        for (std::int64_t i = 0; i < n_queries; ++i) {
            out[i * stride + j] =
                ByteKernels::score(queries, first_query + i, *this, first + j,
                                   ByteKernels::plain_dot(queries, first_query + i, *this, first + j));
        }
    }
}

void ByteVectors::score_ids(const ByteVectors& queries, std::int64_t query, const std::int32_t* ids,
                            std::int64_t n, float* out, SimdLevel level) const {
#if defined(__x86_64__)
    if (level == SimdLevel::vnni) return ByteKernels::ids_vnni(queries, query, *this, ids, n, out);
    if (level != SimdLevel::plain) return ByteKernels::ids_avx2(queries, query, *this, ids, n, out);
#endif
    for (std::int64_t j = 0; j < n; ++j) {
        if (j + 2 < n) fetch(ByteKernels::code(*this, ids[j + 2]), width_);
        out[j] = ByteKernels::score(queries, query, *this, ids[j],
                                    ByteKernels::plain_dot(queries, query, *this, ids[j]));
    }
}

}  // namespace tomograph
