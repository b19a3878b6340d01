#include "tomograph/linear/simd.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace tomograph {
namespace {

SimdLevel highest() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq");
    if (avx512 && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vnni"))
        return SimdLevel::vnni;
    if (avx512) return SimdLevel::avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return SimdLevel::avx2;
#endif
    return SimdLevel::plain;
}

SimdLevel most_allowed() {
    const char* asked = std::getenv("TOMOGRAPH_SIMD");
    for (const auto level : {SimdLevel::plain, SimdLevel::avx2, SimdLevel::avx512}) {
        if (asked != nullptr && simd_name(level) == std::string_view(asked)) return level;
    }
    return SimdLevel::vnni;
}

}  // namespace

const char* simd_name(SimdLevel level) {
    switch (level) {
        case SimdLevel::plain:
            return "plain";
        case SimdLevel::avx2:
            return "avx2";
        case SimdLevel::avx512:
            return "avx512";
        case SimdLevel::vnni:
            return "vnni";
    }
    return "";
}

SimdLevel simd_level() {
    static const SimdLevel level = std::min(highest(), most_allowed());
    return level;
}

}  // namespace tomograph
