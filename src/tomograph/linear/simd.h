#pragma once
#include <vector>

namespace tomograph {

/// What the processor can do, each level all of the one before. The few hot loops of linear, neighbors and
/// maps are written as always-inline templates over a vector width and compiled once per level, so that a
/// portable binary is as fast as a native one. Each takes the level as its last argument, so that every path
/// can be compared with the plain one on one machine; a level that the processor has not is an illegal
/// instruction.
enum class SimdLevel {
    plain,
    avx2,
    avx512,
    vnni,  ///< AVX-512 that multiplies bytes
};

/// "plain", "avx2", "avx512" or "vnni".
const char* simd_name(SimdLevel level);

/// The highest of this processor, asked once; no higher than the one that TOMOGRAPH_SIMD in the environment
/// names, by which one machine shows what others would do. A name that there is not caps nothing.
SimdLevel simd_level();

/// All that this processor has, plain first.
inline std::vector<SimdLevel> simd_levels() {
    std::vector<SimdLevel> levels;
    for (const auto level : {SimdLevel::plain, SimdLevel::avx2, SimdLevel::avx512, SimdLevel::vnni}) {
        if (level <= simd_level()) levels.push_back(level);
    }
    return levels;
}

template <int Width>
struct Lanes {
    typedef float type __attribute__((vector_size(Width * sizeof(float)), aligned(4), may_alias));
    typedef int mask __attribute__((vector_size(Width * sizeof(float)), aligned(4), may_alias));
};

}  // namespace tomograph

#if defined(__x86_64__)
#define TOMOGRAPH_AVX2 [[gnu::target("avx2,fma")]]
#define TOMOGRAPH_AVX512 [[gnu::target("avx512f,avx512dq,fma")]]
#define TOMOGRAPH_VNNI [[gnu::target("avx512f,avx512dq,avx512bw,avx512vnni,fma")]]
#endif
