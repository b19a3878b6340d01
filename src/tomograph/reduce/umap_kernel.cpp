#include "tomograph/reduce/umap_kernel.h"

#include <algorithm>

#include "tomograph/reduce/simd.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tomograph {
namespace {

// All arithmetic is on 16 lanes; the compiler splits them where registers are narrower.
typedef float Floats __attribute__((vector_size(64), may_alias));
typedef std::int32_t Ints __attribute__((vector_size(64), may_alias));
typedef std::uint32_t Words __attribute__((vector_size(64), may_alias));
typedef std::int32_t UnalignedInts __attribute__((vector_size(64), aligned(4), may_alias));
constexpr int lanes = umap_lanes;

/// x^b for x >= 0, to about 2e-5; 0 gives nearly 0. Polynomials are least-maximum fits at Chebyshev nodes.
[[gnu::always_inline]] inline void power(const Floats& x, float b, Floats& result) {
    const Ints bits = reinterpret_cast<const Ints&>(x);
    const Floats exponent = __builtin_convertvector((bits >> 23) - 127, Floats);
    const Ints mantissa_bits = (bits & 0x7fffff) | 0x3f800000;
    const Floats m = reinterpret_cast<const Floats&>(mantissa_bits) - 1.0f;
    Floats log = 0.0204903461f * m - 0.0960662494f;
    log = log * m + 0.215588533f;
    log = log * m - 0.339247773f;
    log = log * m + 0.477705931f;
    log = log * m - 0.721162734f;
    log = log * m + 1.44269326f;
    Floats y = b * (exponent + m * log);
    y = y < -126.0f ? Floats{} - 126.0f : y;
    y = y > 126.0f ? Floats{} + 126.0f : y;
    // Towards zero, then down where that went up.
    Ints whole = __builtin_convertvector(y, Ints);
    Floats fraction = y - __builtin_convertvector(whole, Floats);
    whole = fraction < 0.0f ? whole - 1 : whole;
    fraction = fraction < 0.0f ? fraction + 1.0f : fraction;
    Floats power_of_two = 0.00189510729f * fraction + 0.00894621467f;
    power_of_two = power_of_two * fraction + 0.0558632827f;
    power_of_two = power_of_two * fraction + 0.24014077f;
    power_of_two = power_of_two * fraction + 0.69315462f;
    power_of_two = power_of_two * fraction + 0.999999896f;
    const Ints scale = (whole + 127) << 23;
    result = power_of_two * reinterpret_cast<const Floats&>(scale);
}

[[gnu::always_inline]] inline Floats clip(const Floats& x) {
    const Floats low = x < -4.0f ? Floats{} - 4.0f : x;
    return low > 4.0f ? Floats{} + 4.0f : low;
}

struct PlainGather {
    [[gnu::always_inline]] static void load(const float* from, const Ints& index, Floats& out) {
        Floats loaded = {};
        for (int lane = 0; lane < lanes; ++lane) loaded[lane] = from[index[lane]];
        out = loaded;
    }
};

template <int Dims, class Gather>
[[gnu::always_inline]] inline void advance(const UmapStep& step, const std::int32_t* targets,
                                           const std::int32_t* counts, std::int32_t n_steps,
                                           const std::int32_t* vertex, std::uint32_t* random,
                                           float* position) {
    Floats at[Dims];
    for (int d = 0; d < Dims; ++d) at[d] = *reinterpret_cast<const Floats*>(position + d * lanes);
    const Ints count = *reinterpret_cast<const Ints*>(counts);
    const Ints self = *reinterpret_cast<const Ints*>(vertex);
    Words state = *reinterpret_cast<const Words*>(random);
    const float pull = -2 * step.a * step.b * step.alpha, push = 2 * step.repulsion * step.b;
    const float unit = static_cast<float>(step.n_others) * 0x1.0p-24f;
    const Ints last = Ints{} + static_cast<std::int32_t>(step.n_others - 1);

    const auto attract = [&](const Floats* other, const Ints& active) [[gnu::always_inline]] {
        Floats difference[Dims], squared = {}, p;
        for (int d = 0; d < Dims; ++d) {
            difference[d] = at[d] - other[d];
            squared += difference[d] * difference[d];
        }
        power(squared, step.b, p);
        const Floats factor = pull * p / ((squared + 1e-12f) * (step.a * p + 1.0f));
        const Floats limit = Floats{} + 4 * step.alpha;
        for (int d = 0; d < Dims; ++d) {
            Floats move = factor * difference[d];
            move = move > limit ? limit : move;
            move = move < -limit ? -limit : move;
            at[d] += active ? move : Floats{};
        }
    };

    for (std::int32_t s = 0; s < n_steps; ++s) {
        const Ints active = count > s;
        const Ints index = *reinterpret_cast<const UnalignedInts*>(targets + s * lanes);
        Floats other[Dims] = {};
        for (int d = 0; d < Dims; ++d) Gather::load(step.others[d], index, other[d]);
        attract(other, active);
        // All pushes of one edge act from the same place: they do not wait for each other.
        Floats moved[Dims] = {};
        for (int i = 0; i < step.n_negative; ++i) {
            state = state * 747796405u + 2891336453u;
            Words hash = ((state >> ((state >> 28) + 4)) ^ state) * 277803737u;  // PCG's output function
            hash = (hash >> 22) ^ hash;
            const Ints high = reinterpret_cast<const Ints&>(hash) >> 8 & 0xffffff;
            Ints negative = __builtin_convertvector(__builtin_convertvector(high, Floats) * unit, Ints);
            negative = negative > last ? last : negative;
            Floats difference[Dims], squared = {}, p;
            for (int d = 0; d < Dims; ++d) {
                Floats from = {};
                Gather::load(step.others[d], negative, from);
                difference[d] = at[d] - from;
                squared += difference[d] * difference[d];
            }
            power(squared, step.b, p);
            Floats factor = push / ((0.001f + squared) * (step.a * p + 1.0f));
            if (step.skip_self) factor = negative == self ? Floats{} : factor;
            for (int d = 0; d < Dims; ++d) moved[d] += clip(factor * difference[d]);
        }
        for (int d = 0; d < Dims; ++d) at[d] += active ? step.alpha * moved[d] : Floats{};
        attract(other, active);
    }
    for (int d = 0; d < Dims; ++d) *reinterpret_cast<Floats*>(position + d * lanes) = at[d];
    *reinterpret_cast<Words*>(random) = state;
}

#if defined(__x86_64__)
struct Avx512Gather {
    TOMOGRAPH_AVX512 static void load(const float* from, const Ints& index, Floats& out) {
        // The form with a source: the plain one leaves its own undefined, which GCC 12 warns about.
        out = reinterpret_cast<Floats>(
            _mm512_mask_i32gather_ps(_mm512_setzero_ps(), 0xffff, reinterpret_cast<__m512i>(index), from, 4));
    }
};

TOMOGRAPH_AVX512 void advance_avx512(const UmapStep& step, const std::int32_t* targets,
                                     const std::int32_t* counts, std::int32_t n_steps,
                                     const std::int32_t* vertex, std::uint32_t* random, float* position) {
    if (step.dims == 2) {
        advance<2, Avx512Gather>(step, targets, counts, n_steps, vertex, random, position);
    } else {
        advance<3, Avx512Gather>(step, targets, counts, n_steps, vertex, random, position);
    }
}
TOMOGRAPH_AVX2 void advance_avx2(const UmapStep& step, const std::int32_t* targets,
                                 const std::int32_t* counts, std::int32_t n_steps, const std::int32_t* vertex,
                                 std::uint32_t* random, float* position) {
    if (step.dims == 2) {
        advance<2, PlainGather>(step, targets, counts, n_steps, vertex, random, position);
    } else {
        advance<3, PlainGather>(step, targets, counts, n_steps, vertex, random, position);
    }
}
#endif

}  // namespace

void advance_vertices(const UmapStep& step, const std::int32_t* targets, const std::int32_t* counts,
                      std::int32_t n_steps, const std::int32_t* vertex, std::uint32_t* random,
                      float* position) {
#if defined(__x86_64__)
    if (simd_level() == SimdLevel::avx512) {
        return advance_avx512(step, targets, counts, n_steps, vertex, random, position);
    }
    if (simd_level() == SimdLevel::avx2) {
        return advance_avx2(step, targets, counts, n_steps, vertex, random, position);
    }
#endif
    if (step.dims == 2) {
        advance<2, PlainGather>(step, targets, counts, n_steps, vertex, random, position);
    } else {
        advance<3, PlainGather>(step, targets, counts, n_steps, vertex, random, position);
    }
}

}  // namespace tomograph
