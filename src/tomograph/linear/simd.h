#pragma once

namespace tomograph {

/// What the processor can do, asked once. The few hot loops of this room are written as always-inline
/// templates over a vector width and compiled once per level, so that a portable binary is as fast as a
/// native one.
enum class SimdLevel { plain, avx2, avx512 };

inline SimdLevel simd_level() {
#if defined(__x86_64__)
    static const SimdLevel level = [] {
        __builtin_cpu_init();
        if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")) return SimdLevel::avx512;
        if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return SimdLevel::avx2;
        return SimdLevel::plain;
    }();
    return level;
#else
    return SimdLevel::plain;
#endif
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
#endif
