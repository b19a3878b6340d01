#include "tomograph/linear/blas.h"

#include <cblas.h>

#include <string_view>

namespace tomograph {

void keep_blas_single_threaded() {
    static const bool once = (openblas_set_num_threads(1), true);
    (void)once;
}

bool blas_fits_processor() {
#if defined(__x86_64__)
    const std::string_view kernels = openblas_get_corename();
    if (kernels == "SkylakeX" || kernels == "Cooperlake" || kernels == "SapphireRapids") return true;
    return !__builtin_cpu_supports("avx512f") && (kernels == "Haswell" || kernels == "Zen");
#else
    return true;
#endif
}

std::string blas_description() {
    std::string text = openblas_get_config();
    while (!text.empty() && text.back() == ' ') text.pop_back();
    return text;
}

}  // namespace tomograph
