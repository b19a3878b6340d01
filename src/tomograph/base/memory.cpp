#include "tomograph/base/memory.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <new>
#include <string>

#if __has_include(<malloc.h>)
#include <malloc.h>
#endif
#if __has_include(<sys/mman.h>)
#include <sys/mman.h>
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

void* allocate_aligned(std::size_t bytes) {
    constexpr std::size_t line = 64, large_page = 2 << 20;
    const std::size_t boundary = bytes >= 2 * large_page ? large_page : line;
    void* memory =
        std::aligned_alloc(boundary, (std::max<std::size_t>(bytes, 1) + boundary - 1) / boundary * boundary);
    if (!memory) throw std::bad_alloc();
#if defined(MADV_HUGEPAGE)
    if (boundary == large_page)
        (void)::madvise(memory, bytes, MADV_HUGEPAGE);  // a wish: small pages serve too
#endif
    return memory;
}

}  // namespace tomograph
