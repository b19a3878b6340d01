#include "tomograph/base/memory.h"

#include <cinttypes>
#include <cstdio>
#include <fstream>
#include <string>

#if __has_include(<malloc.h>)
#include <malloc.h>
#endif

namespace tomograph {

void return_large_blocks() {
#if defined(M_MMAP_THRESHOLD)
    mallopt(M_MMAP_THRESHOLD, 4 << 20);
#endif
}

std::uint64_t available_memory() {
    std::ifstream info("/proc/meminfo");
    for (std::string line; std::getline(info, line);) {
        std::uint64_t kilobytes = 0;
        if (std::sscanf(line.c_str(), "MemAvailable: %" SCNu64, &kilobytes) == 1) return kilobytes * 1024;
    }
    return 0;
}

}  // namespace tomograph
