#include "tomograph/base/memory.h"

#if __has_include(<malloc.h>)
#include <malloc.h>
#endif

namespace tomograph {

void return_large_blocks() {
#if defined(M_MMAP_THRESHOLD)
    mallopt(M_MMAP_THRESHOLD, 4 << 20);
#endif
}

}  // namespace tomograph
