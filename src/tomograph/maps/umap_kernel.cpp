#include "tomograph/maps/umap_kernel.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "tomograph/base/random.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tomograph {
namespace {

constexpr std::uint32_t golden = 2654435769u;
/// umap-learn's bound for one force in one dimension.
constexpr float largest_move = 4.0f;

template <int N>
struct VectorTypes {
    typedef float Floats __attribute__((vector_size(N * 4)));
    typedef std::int32_t Ints __attribute__((vector_size(N * 4)));
};

/// Vectors of N lanes. They travel by reference: passing them in registers would depend on the instruction
/// set.
template <int N>
struct Vectors {
    using Floats = typename VectorTypes<N>::Floats;
    using Ints = typename VectorTypes<N>::Ints;
    static constexpr int lanes = N;

    /// NaN stays: a map that holds it is refused.
    [[gnu::always_inline]] static void clamp(Floats& x, float limit) {
        x = x > limit ? Floats{} + limit : x;
        x = x < -limit ? Floats{} - limit : x;
    }
    template <int Dims>
    [[gnu::always_inline]] static void places(const float* from, const std::int32_t* index, Floats* out) {
        for (int d = 0; d < Dims; ++d) {
            for (int lane = 0; lane < N; ++lane) out[d][lane] = from[index[lane] * Dims + d];
        }
    }
    /// The sum of all lanes.
    [[gnu::always_inline]] static float sum(const Floats& terms) {
        Floats x = terms;
        Ints lane = {};
        for (int i = 0; i < N; ++i) lane[i] = i;
        for (int half = N / 2; half > 0; half /= 2) x += __builtin_shuffle(x, lane ^ half);
        return x[0];
    }
    [[gnu::always_inline]] static std::int32_t draw(std::int32_t vertex, const std::int32_t* targets,
                                                    const std::uint32_t* rates, std::int64_t n,
                                                    std::uint32_t turn, std::int32_t* out) {
        std::int32_t count = 0;
        for (std::int64_t e = 0; e < n; ++e) {
            // Written always and kept when drawn: whether it is cannot be foretold, so a branch would cost
            // more.
            const std::uint32_t start = static_cast<std::uint32_t>(vertex + targets[e]) * golden;
            out[count] = targets[e];
            count += start + rates[e] * turn < rates[e];
        }
        return count;
    }
};

/// x^b for x from 1e-12 on, to about 2e-4: what a step of the layout needs. Polynomials are least-maximum
/// fits, grouped so that their terms wait little for each other.
template <class Level>
[[gnu::always_inline]] inline void power(const typename Level::Floats& x, float b,
                                         typename Level::Floats& result) {
    using Floats = typename Level::Floats;
    using Ints = typename Level::Ints;
    // log2: the exponent of x / sqrt(1/2), and the mantissa in [sqrt(1/2), sqrt(2)) less 1.
    const Ints bits = reinterpret_cast<Ints>(x) - 0x3f3504f3;
    const Ints exponent = bits >> 23;
    const Ints mantissa = (bits & 0x7fffff) + 0x3f3504f3;
    const Floats m = reinterpret_cast<Floats>(mantissa) - 1.0f;
    const Floats log = (-0.724832043f * m + 1.44179426f) + (m * m) * (-0.32988605f * m + 0.517178279f);
    Floats y = b * (__builtin_convertvector(exponent, Floats) + m * log);
    Level::clamp(y, 126.0f);
    // exp2: adding 1.5 * 2^23 rounds to a whole number, which then sits in the low bits.
    const Floats shifted = y + 12582912.0f;
    const Floats f = y - (shifted - 12582912.0f);
    const Floats exp = (0.693260982f * f + 0.999928072f) + (f * f) * (0.0551716951f * f + 0.242611137f);
    const Ints scaled = reinterpret_cast<Ints>(exp) + (reinterpret_cast<Ints>(shifted) << 23);
    result = reinterpret_cast<Floats>(scaled);
}

/// The lanes hold forces on one vertex: those of its edges, then those of its pushers. In the other order, a
/// vertex for each lane, all would wait for the one with most edges, and each would gather its own.
template <class Level, int Dims>
[[gnu::always_inline]] inline void advance(const UmapStep& step, std::int64_t begin, std::int64_t end,
                                           std::uint64_t key, std::int32_t* drawn, float* places) {
    using Floats = typename Level::Floats;
    using Ints = typename Level::Ints;
    constexpr int lanes = Level::lanes;
    Ints lane = {};
    for (int i = 0; i < lanes; ++i) lane[i] = i;
    // Each end of an edge is pulled twice: once for each that umap-learn draws it from.
    const float pull = -2 * step.a * step.b, push = 2 * step.repulsion * step.b;

    for (std::int64_t vertex = begin; vertex < end; ++vertex) {
        const auto first = step.offsets[vertex];
        const std::int32_t n_drawn =
            Level::draw(static_cast<std::int32_t>(vertex), step.targets + first, step.rates + first,
                        step.offsets[vertex + 1] - first, step.turn, drawn);
        if (n_drawn == 0) continue;
        for (int i = 0; i < lanes; ++i) drawn[n_drawn + i] = 0;
        Floats at[Dims] = {}, moved[Dims] = {};
        for (int d = 0; d < Dims; ++d) at[d] += places[vertex * Dims + d];

        for (std::int32_t e = 0; e < n_drawn; e += lanes) {
            Floats from[Dims] = {}, squared = Floats{} + 1e-12f, p = {};
            Level::template places<Dims>(step.others, drawn + e, from);
            for (int d = 0; d < Dims; ++d) {
                from[d] = at[d] - from[d];
                squared += from[d] * from[d];
            }
            power<Level>(squared, step.b, p);
            const Floats factor = pull * p / (squared * (step.a * p + 1.0f));
            const Ints there = lane < n_drawn - e;
            for (int d = 0; d < Dims; ++d) {
                Floats force = factor * from[d];
                Level::clamp(force, largest_move);
                moved[d] += there ? 2.0f * force : Floats{};
            }
        }
        const std::int32_t n_pushes = n_drawn * step.n_negative;
        const auto vertex_key = mix(key ^ static_cast<std::uint64_t>(vertex));
        for (std::int32_t run = 0; run < n_pushes; run += umap_run) {
            const auto hash = mix(vertex_key + static_cast<std::uint64_t>(run)) >> 32;
            const auto from_pusher =
                static_cast<std::int64_t>(hash * static_cast<std::uint64_t>(step.n_pushers) >> 32);
            const std::int32_t in_run = std::min(n_pushes - run, umap_run);
            for (std::int32_t part = 0; part < in_run; part += lanes) {
                Floats from[Dims] = {}, squared = Floats{} + 1e-12f, p = {};
                for (int d = 0; d < Dims; ++d) {
                    std::memcpy(&from[d], step.pushers[d] + from_pusher + part, sizeof from[d]);
                    from[d] = at[d] - from[d];
                    squared += from[d] * from[d];
                }
                power<Level>(squared, step.b, p);
                const Floats factor = push / ((0.001f + squared) * (step.a * p + 1.0f));
                const Ints there = lane < in_run - part;
                for (int d = 0; d < Dims; ++d) {
                    Floats force = factor * from[d];
                    Level::clamp(force, largest_move);
                    moved[d] += there ? force : Floats{};
                }
            }
        }
        for (int d = 0; d < Dims; ++d) places[vertex * Dims + d] += step.alpha * Level::sum(moved[d]);
    }
}

template <class Level>
[[gnu::always_inline]] inline void advance_any(const UmapStep& step, std::int64_t begin, std::int64_t end,
                                               std::uint64_t key, std::int32_t* drawn, float* places) {
    if (step.dims == 2) {
        advance<Level, 2>(step, begin, end, key, drawn, places);
    } else {
        advance<Level, 3>(step, begin, end, key, drawn, places);
    }
}

using Plain = Vectors<8>;

#if defined(__x86_64__)
/// For each set of lanes the numbers of its members in order, a byte each.
constexpr auto members = [] {
    std::array<std::uint64_t, 256> table{};
    for (unsigned set = 0; set < 256; ++set) {
        int n = 0;
        for (unsigned i = 0; i < 8; ++i) {
            if (set >> i & 1) table[set] |= static_cast<std::uint64_t>(i) << (8 * n++);
        }
    }
    return table;
}();

struct Avx2 : Vectors<8> {
    TOMOGRAPH_AVX2 static void clamp(Floats& x, float limit) {
        x = _mm256_max_ps(_mm256_set1_ps(-limit), _mm256_min_ps(_mm256_set1_ps(limit), x));
    }
    /// Loads of single places: the processor's own gather is slower on many that have no more than AVX2.
    template <int Dims>
    TOMOGRAPH_AVX2 static void places(const float* from, const std::int32_t* index, Floats* out) {
        if constexpr (Dims == 2) {  // both coordinates are one 8-byte load
            const auto two = [&](int i, int j) __attribute__((always_inline, target("avx2,fma"))) {
                const __m128 low = _mm_castpd_ps(
                    _mm_load_sd(reinterpret_cast<const double*>(from + std::int64_t{2} * index[i])));
                return _mm_loadh_pi(low, reinterpret_cast<const __m64*>(from + std::int64_t{2} * index[j]));
            };
            // x y of lanes 0 1 | 4 5, and of 2 3 | 6 7
            const __m256 left = _mm256_insertf128_ps(_mm256_castps128_ps256(two(0, 1)), two(4, 5), 1);
            const __m256 right = _mm256_insertf128_ps(_mm256_castps128_ps256(two(2, 3)), two(6, 7), 1);
            out[0] = _mm256_shuffle_ps(left, right, 0x88);
            out[1] = _mm256_shuffle_ps(left, right, 0xdd);
        } else {
            Vectors<8>::places<Dims>(from, index, out);
        }
    }
    TOMOGRAPH_AVX2 static std::int32_t draw(std::int32_t vertex, const std::int32_t* targets,
                                            const std::uint32_t* rates, std::int64_t n, std::uint32_t turn,
                                            std::int32_t* out) {
        const __m256i id = _mm256_set1_epi32(vertex), times = _mm256_set1_epi32(static_cast<int>(turn)),
                      factor = _mm256_set1_epi32(static_cast<int>(golden)),
                      sign = _mm256_set1_epi32(INT32_MIN), lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        std::int32_t count = 0;
        for (std::int64_t e = 0; e < n; e += 8) {
            const auto left = static_cast<int>(std::min<std::int64_t>(n - e, 8));
            const __m256i there = _mm256_cmpgt_epi32(_mm256_set1_epi32(left), lane);
            const __m256i target = _mm256_maskload_epi32(targets + e, there);
            const __m256i rate = _mm256_maskload_epi32(reinterpret_cast<const int*>(rates + e), there);
            const __m256i start = _mm256_mullo_epi32(_mm256_add_epi32(id, target), factor);
            const __m256i counter = _mm256_add_epi32(start, _mm256_mullo_epi32(rate, times));
            // counter < rate, both without sign; a lane that is not there has rate 0 and none below it
            const __m256i drawn =
                _mm256_cmpgt_epi32(_mm256_xor_si256(rate, sign), _mm256_xor_si256(counter, sign));
            const auto set = static_cast<unsigned>(_mm256_movemask_ps(_mm256_castsi256_ps(drawn)));
            const __m256i order =
                _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(static_cast<std::int64_t>(members[set])));
            _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + count),
                                _mm256_permutevar8x32_epi32(target, order));
            count += __builtin_popcount(set);
        }
        return count;
    }
};

struct Avx512 : Vectors<16> {
    TOMOGRAPH_AVX512 static void clamp(Floats& x, float limit) {
        x = _mm512_max_ps(_mm512_set1_ps(-limit), _mm512_min_ps(_mm512_set1_ps(limit), x));
    }
    template <int Dims>
    TOMOGRAPH_AVX512 static void places(const float* from, const std::int32_t* index, Floats* out) {
        const __m512i i = _mm512_loadu_si512(index);
        if constexpr (Dims == 2) {  // both coordinates are one 8-byte load
            const auto low = _mm512_castpd_ps(_mm512_i32gather_pd(_mm512_castsi512_si256(i), from, 8));
            const auto high = _mm512_castpd_ps(_mm512_i32gather_pd(_mm512_extracti64x4_epi64(i, 1), from, 8));
            const Ints even = {0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30};
            const Ints odd = even + 1;
            out[0] = _mm512_permutex2var_ps(low, reinterpret_cast<__m512i>(even), high);
            out[1] = _mm512_permutex2var_ps(low, reinterpret_cast<__m512i>(odd), high);
        } else {
            const __m512i scaled = _mm512_mullo_epi32(i, _mm512_set1_epi32(Dims));
            for (int d = 0; d < Dims; ++d) out[d] = _mm512_i32gather_ps(scaled, from + d, 4);
        }
    }
    TOMOGRAPH_AVX512 static std::int32_t draw(std::int32_t vertex, const std::int32_t* targets,
                                              const std::uint32_t* rates, std::int64_t n, std::uint32_t turn,
                                              std::int32_t* out) {
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
};

TOMOGRAPH_AVX512 void advance_avx512(const UmapStep& step, std::int64_t begin, std::int64_t end,
                                     std::uint64_t key, std::int32_t* drawn, float* places) {
    advance_any<Avx512>(step, begin, end, key, drawn, places);
}
TOMOGRAPH_AVX2 void advance_avx2(const UmapStep& step, std::int64_t begin, std::int64_t end,
                                 std::uint64_t key, std::int32_t* drawn, float* places) {
    advance_any<Avx2>(step, begin, end, key, drawn, places);
}
#endif

}  // namespace

std::int32_t draw_edges(std::int32_t vertex, const std::int32_t* targets, const std::uint32_t* rates,
                        std::int64_t n, std::uint32_t turn, std::int32_t* out,
                        [[maybe_unused]] SimdLevel level) {
#if defined(__x86_64__)
    if (level >= SimdLevel::avx512) return Avx512::draw(vertex, targets, rates, n, turn, out);
    if (level == SimdLevel::avx2) return Avx2::draw(vertex, targets, rates, n, turn, out);
#endif
    return Plain::draw(vertex, targets, rates, n, turn, out);
}

void advance_vertices(const UmapStep& step, std::int64_t begin, std::int64_t end, std::uint64_t key,
                      std::int32_t* drawn, float* places, [[maybe_unused]] SimdLevel level) {
#if defined(__x86_64__)
    if (level >= SimdLevel::avx512) return advance_avx512(step, begin, end, key, drawn, places);
    if (level == SimdLevel::avx2) return advance_avx2(step, begin, end, key, drawn, places);
#endif
    advance_any<Plain>(step, begin, end, key, drawn, places);
}

}  // namespace tomograph
