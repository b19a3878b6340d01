#include "tomograph/base/half.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#if defined(__x86_64__)
#include <immintrin.h>
#define TOMOGRAPH_F16C __attribute__((target("avx,f16c")))
#endif

namespace tomograph {
namespace {

std::uint16_t round_to_f16(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000u);
    const std::uint32_t magnitude = bits & 0x7fffffffu;
    // NaN: quiet, with what of its payload there is room for, as the processor's own conversion has it.
    if (magnitude > 0x7f800000u)
        return static_cast<std::uint16_t>(sign | 0x7e00u | ((magnitude >> 13) & 0x3ffu));
    if (magnitude >= 0x477ff000u) return static_cast<std::uint16_t>(sign | 0x7c00u);  // rounds to infinity
    if (magnitude < 0x38800000u) {  // subnormal: let the float unit round at the right bit
        const float scaled = std::bit_cast<float>(magnitude) + 0.5f;
        return static_cast<std::uint16_t>(
            sign | (std::bit_cast<std::uint32_t>(scaled) - std::bit_cast<std::uint32_t>(0.5f)));
    }
    const std::uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
    return static_cast<std::uint16_t>(sign | ((rounded - 0x38000000u) >> 13));
}

float widen_f16(std::uint16_t half) {
    const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
    const std::uint32_t exponent = (half >> 10) & 0x1fu;
    const std::uint32_t mantissa = half & 0x3ffu;
    if (exponent == 0)
        return std::copysign(std::ldexp(static_cast<float>(mantissa), -24), std::bit_cast<float>(sign));
    const std::uint32_t wide = exponent == 31 ? 255u : exponent + 112u;
    return std::bit_cast<float>(sign | (wide << 23) | (mantissa << 13));
}

/// Number `i` of 16-bit numbers that need not be aligned.
std::uint16_t load_16(const void* in, std::size_t i) {
    std::uint16_t value;
    std::memcpy(&value, static_cast<const std::byte*>(in) + 2 * i, 2);
    return value;
}

#ifdef TOMOGRAPH_F16C
bool has_f16c() {
    // Older clang does not know the word f16c; every processor with AVX2 has it.
    static const bool has = __builtin_cpu_supports("avx2");
    return has;
}

TOMOGRAPH_F16C std::size_t to_f16_fast(const float* in, std::uint16_t* out, std::size_t n, bool& fits) {
    std::size_t i = 0;
    const __m256 all_but_sign = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
    const __m256 infinity = _mm256_set1_ps(std::numeric_limits<float>::infinity());
    __m256 largest = _mm256_setzero_ps();
    for (; i + 8 <= n; i += 8) {
        const __m256 values = _mm256_loadu_ps(in + i);
        const __m256 magnitude = _mm256_and_ps(values, all_but_sign);
        const __m256 finite = _mm256_cmp_ps(magnitude, infinity, _CMP_LT_OQ);  // false for NaN as well
        largest = _mm256_max_ps(_mm256_and_ps(magnitude, finite), largest);
        _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i),
                         _mm256_cvtps_ph(values, _MM_FROUND_TO_NEAREST_INT));
    }
    alignas(32) float lanes[8];
    _mm256_store_ps(lanes, largest);
    // Infinite input is the caller's to find.
    for (const float lane : lanes) fits = fits && lane < kF16Overflow;
    return i;
}

TOMOGRAPH_F16C std::size_t from_f16_fast(const void* in, float* out, std::size_t n) {
    std::size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        const auto* eight = reinterpret_cast<const __m128i*>(static_cast<const std::byte*>(in) + 2 * i);
        _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128(eight)));
    }
    return i;
}
#endif

}  // namespace

bool to_f16(const float* in, std::uint16_t* out, std::size_t n) {
    bool fits = true;
    std::size_t i = 0;
#ifdef TOMOGRAPH_F16C
    if (has_f16c()) i = to_f16_fast(in, out, n, fits);
#endif
    for (; i < n; ++i) {
        out[i] = round_to_f16(in[i]);
        if ((out[i] & 0x7fffu) == 0x7c00u && std::isfinite(in[i])) fits = false;
    }
    return fits;
}

void to_bf16(const float* in, std::uint16_t* out, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i) {
        const auto bits = std::bit_cast<std::uint32_t>(in[i]);
        const bool nan = (bits & 0x7fffffffu) > 0x7f800000u;
        out[i] = static_cast<std::uint16_t>(nan ? (bits >> 16) | 0x40u
                                                : (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
    }
}

void from_f16(const void* in, float* out, std::size_t n) {
    std::size_t i = 0;
#ifdef TOMOGRAPH_F16C
    if (has_f16c()) i = from_f16_fast(in, out, n);
#endif
    for (; i < n; ++i) out[i] = widen_f16(load_16(in, i));
}

void from_bf16(const void* in, float* out, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i)
        out[i] = std::bit_cast<float>(static_cast<std::uint32_t>(load_16(in, i)) << 16);
}

}  // namespace tomograph
