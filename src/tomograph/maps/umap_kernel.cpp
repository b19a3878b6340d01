#include "tomograph/maps/umap_kernel.h"

#include <algorithm>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tomograph {
namespace {

// All arithmetic is on 16 lanes; the compiler splits them where registers are narrower.
typedef float Floats __attribute__((vector_size(64), may_alias));
typedef std::int32_t Ints __attribute__((vector_size(64), may_alias));
typedef std::uint32_t Words __attribute__((vector_size(64), may_alias));
constexpr int lanes = 16;
/// Vectors that advance side by side: one's arithmetic fills the other's waits.
constexpr int n_vectors = umap_lanes / lanes;
constexpr std::uint32_t golden = 2654435769u;
/// umap-learn's bound for one force in one dimension.
constexpr float largest_move = 4.0f;

/// x^b for x from 1e-12 on, to about 5e-6. Polynomials are least-maximum fits at Chebyshev nodes.
[[gnu::always_inline]] inline void power(const Floats& x, float b, Floats& result) {
    // log2: the exponent of x / sqrt(1/2), and the mantissa in [sqrt(1/2), sqrt(2)) less 1.
    const Ints bits = reinterpret_cast<const Ints&>(x);
    const Ints exponent = (bits - 0x3f3504f3) >> 23;
    const Ints mantissa = bits - (exponent << 23);
    const Floats m = reinterpret_cast<const Floats&>(mantissa) - 1.0f;
    Floats log = -0.206858124f * m + 0.318407118f;
    log = log * m - 0.366413259f;
    log = log * m + 0.479793884f;
    log = log * m - 0.721208468f;
    log = log * m + 1.4427018f;
    Floats y = b * (__builtin_convertvector(exponent, Floats) + m * log);
    y = y > 126.0f ? Floats{} + 126.0f : y;
    y = y < -126.0f ? Floats{} - 126.0f : y;
    // exp2: adding 1.5 * 2^23 rounds to a whole number, which then sits in the low bits.
    const Floats shifted = y + 12582912.0f;
    const Ints whole = reinterpret_cast<const Ints&>(shifted) - 0x4b400000;
    const Floats fraction = y - (shifted - 12582912.0f);
    Floats exp = 0.0096760371f * fraction + 0.0559220356f;
    exp = exp * fraction + 0.240221074f;
    exp = exp * fraction + 0.693121034f;
    exp = exp * fraction + 1.00000008f;
    const Ints scaled = reinterpret_cast<const Ints&>(exp) + (whole << 23);
    result = reinterpret_cast<const Floats&>(scaled);
}

/// Vectors travel by reference: passing them in registers would depend on the instruction set.
[[gnu::always_inline]] inline void add_clipped(const Floats& x, float limit, Floats& sum) {
    const Floats low = x < -limit ? Floats{} - limit : x;
    sum += low > limit ? Floats{} + limit : low;
}

struct PlainGather {
    template <int Dims>
    [[gnu::always_inline]] static void places(const float* from, const Ints& index, Floats* out) {
        for (int d = 0; d < Dims; ++d) {
            Floats loaded = {};
            for (int lane = 0; lane < lanes; ++lane) loaded[lane] = from[index[lane] * Dims + d];
            out[d] = loaded;
        }
    }
    [[gnu::always_inline]] static void ints(const std::int32_t* from, const Ints& index, Ints& out) {
        Ints loaded = {};
        for (int lane = 0; lane < lanes; ++lane) loaded[lane] = from[index[lane]];
        out = loaded;
    }
};

template <int Dims, class Gather>
[[gnu::always_inline]] inline void advance(const UmapStep& step, const std::int32_t* targets,
                                           std::int32_t stride, const std::int32_t* counts,
                                           std::uint32_t* random, float* position) {
    Floats at[n_vectors][Dims];
    Ints count[n_vectors], slot[n_vectors];
    Words state[n_vectors];
    for (int v = 0; v < n_vectors; ++v) {
        for (int d = 0; d < Dims; ++d)
            at[v][d] = *reinterpret_cast<const Floats*>(position + d * umap_lanes + v * lanes);
        count[v] = *reinterpret_cast<const Ints*>(counts + v * lanes);
        state[v] = *reinterpret_cast<const Words*>(random + v * lanes);
        slot[v] = (Ints{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15} + v * lanes) * stride;
    }
    const float pull = -2 * step.a * step.b, push = 2 * step.repulsion * step.b;
    const float unit = static_cast<float>(step.n_pushers) * 0x1.0p-24f;
    const Ints last = Ints{} + (step.n_pushers - 1);

    const std::int32_t n_steps = *std::max_element(counts, counts + umap_lanes);
    Floats moved[n_vectors][Dims] = {};
    for (std::int32_t s = 0; s < n_steps; ++s) {
#pragma GCC unroll 2
        for (int v = 0; v < n_vectors; ++v) {
            const Ints active = count[v] > s;
            Ints index = {};
            Gather::ints(targets, slot[v], index);
            slot[v] += 1;
            Floats pulled[Dims] = {}, pushed[Dims] = {}, squared = Floats{} + 1e-12f, p = {};
            Gather::template places<Dims>(step.others, index, pulled);
            for (int d = 0; d < Dims; ++d) {
                pulled[d] = at[v][d] - pulled[d];
                squared += pulled[d] * pulled[d];
            }
            power(squared, step.b, p);
            const Floats pull_factor = pull * p / (squared * (step.a * p + 1.0f));
            Floats pull_sum[Dims] = {};
            for (int d = 0; d < Dims; ++d) add_clipped(pull_factor * pulled[d], largest_move, pull_sum[d]);
            for (int i = 0; i < step.n_negative; ++i) {
                state[v] = state[v] * 747796405u + 2891336453u;
                Words hash = ((state[v] >> ((state[v] >> 28) + 4)) ^ state[v]) * 277803737u;  // PCG's output
                hash = (hash >> 22) ^ hash;
                const Words high = hash >> 8;
                const Floats chosen =
                    __builtin_convertvector(reinterpret_cast<const Ints&>(high), Floats) * unit;
                Ints negative = __builtin_convertvector(chosen, Ints);
                negative = negative > last ? last : negative;
                Floats from[Dims] = {};
                squared = Floats{} + 1e-12f;
                Gather::template places<Dims>(step.pushers, negative, from);
                for (int d = 0; d < Dims; ++d) {
                    from[d] = at[v][d] - from[d];
                    squared += from[d] * from[d];
                }
                power(squared, step.b, p);
                const Floats factor = push / ((0.001f + squared) * (step.a * p + 1.0f));
                for (int d = 0; d < Dims; ++d) add_clipped(factor * from[d], largest_move, pushed[d]);
            }
            for (int d = 0; d < Dims; ++d) moved[v][d] += active ? 2.0f * pull_sum[d] + pushed[d] : Floats{};
        }
    }
    for (int v = 0; v < n_vectors; ++v) {
        for (int d = 0; d < Dims; ++d) {
            *reinterpret_cast<Floats*>(position + d * umap_lanes + v * lanes) =
                at[v][d] + step.alpha * moved[v][d];
        }
        *reinterpret_cast<Words*>(random + v * lanes) = state[v];
    }
}

template <class Gather>
[[gnu::always_inline]] inline void advance_any(const UmapStep& step, const std::int32_t* targets,
                                               std::int32_t stride, const std::int32_t* counts,
                                               std::uint32_t* random, float* position) {
    if (step.dims == 2) {
        advance<2, Gather>(step, targets, stride, counts, random, position);
    } else {
        advance<3, Gather>(step, targets, stride, counts, random, position);
    }
}

#if defined(__x86_64__)
struct Avx512Gather {
    template <int Dims>
    TOMOGRAPH_AVX512 static void places(const float* from, const Ints& index, Floats* out) {
        const auto i = reinterpret_cast<__m512i>(index);
        if constexpr (Dims == 2) {  // both coordinates are one 8-byte load
            const auto low =
                reinterpret_cast<__m512>(_mm512_i32gather_pd(_mm512_castsi512_si256(i), from, 8));
            const auto high =
                reinterpret_cast<__m512>(_mm512_i32gather_pd(_mm512_extracti64x4_epi64(i, 1), from, 8));
            const Ints even = {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30};
            const Ints odd = even + 1;
            out[0] =
                reinterpret_cast<Floats>(_mm512_permutex2var_ps(low, reinterpret_cast<__m512i>(even), high));
            out[1] =
                reinterpret_cast<Floats>(_mm512_permutex2var_ps(low, reinterpret_cast<__m512i>(odd), high));
        } else {
            const auto scaled = reinterpret_cast<__m512i>(index * Dims);
            for (int d = 0; d < Dims; ++d) {
                out[d] = reinterpret_cast<Floats>(_mm512_i32gather_ps(scaled, from + d, 4));
            }
        }
    }
    TOMOGRAPH_AVX512 static void ints(const std::int32_t* from, const Ints& index, Ints& out) {
        out = reinterpret_cast<Ints>(_mm512_i32gather_epi32(reinterpret_cast<__m512i>(index), from, 4));
    }
};

TOMOGRAPH_AVX512 void advance_avx512(const UmapStep& step, const std::int32_t* targets, std::int32_t stride,
                                     const std::int32_t* counts, std::uint32_t* random, float* position) {
    advance_any<Avx512Gather>(step, targets, stride, counts, random, position);
}
TOMOGRAPH_AVX2 void advance_avx2(const UmapStep& step, const std::int32_t* targets, std::int32_t stride,
                                 const std::int32_t* counts, std::uint32_t* random, float* position) {
    advance_any<PlainGather>(step, targets, stride, counts, random, position);
}

TOMOGRAPH_AVX512 std::int32_t draw_edges_avx512(std::int32_t vertex, const std::int32_t* targets,
                                                const std::uint32_t* rates, std::int64_t n,
                                                std::uint32_t turn, std::int32_t* out) {
    const __m512i id = _mm512_set1_epi32(vertex), times = _mm512_set1_epi32(static_cast<int>(turn)),
                  factor = _mm512_set1_epi32(static_cast<int>(golden));
    std::int32_t count = 0;
    for (std::int64_t e = 0; e < n; e += 16) {
        const auto there = static_cast<__mmask16>(n - e >= 16 ? 0xffff : (1u << (n - e)) - 1);
        const __m512i target = _mm512_maskz_loadu_epi32(there, targets + e);
        const __m512i rate = _mm512_maskz_loadu_epi32(there, rates + e);
        const __m512i start = _mm512_mullo_epi32(_mm512_add_epi32(id, target), factor);
        const __m512i counter = _mm512_add_epi32(start, _mm512_mullo_epi32(rate, times));
        const __mmask16 drawn = _mm512_mask_cmplt_epu32_mask(there, counter, rate);
        _mm512_storeu_si512(out + count, _mm512_maskz_compress_epi32(drawn, target));
        count += __builtin_popcount(drawn);
    }
    return count;
}
#endif

}  // namespace

std::int32_t draw_edges(std::int32_t vertex, const std::int32_t* targets, const std::uint32_t* rates,
                        std::int64_t n, std::uint32_t turn, std::int32_t* out,
                        [[maybe_unused]] SimdLevel level) {
#if defined(__x86_64__)
    if (level >= SimdLevel::avx512) return draw_edges_avx512(vertex, targets, rates, n, turn, out);
#endif
    std::int32_t count = 0;
    for (std::int64_t e = 0; e < n; ++e) {
        // Written always and kept when drawn: whether it is cannot be foretold, so a branch would cost more.
        const std::uint32_t start = static_cast<std::uint32_t>(vertex + targets[e]) * golden;
        out[count] = targets[e];
        count += start + rates[e] * turn < rates[e];
    }
    return count;
}

void advance_vertices(const UmapStep& step, const std::int32_t* targets, std::int32_t stride,
                      const std::int32_t* counts, std::uint32_t* random, float* position,
                      [[maybe_unused]] SimdLevel level) {
#if defined(__x86_64__)
    if (level >= SimdLevel::avx512) {
        return advance_avx512(step, targets, stride, counts, random, position);
    }
    if (level == SimdLevel::avx2) {
        return advance_avx2(step, targets, stride, counts, random, position);
    }
#endif
    advance_any<PlainGather>(step, targets, stride, counts, random, position);
}

}  // namespace tomograph
