#include "tomograph/linear/blas.h"

#include <cblas.h>

#include <string_view>

namespace tomograph {

void keep_blas_single_threaded() {
    static const bool once = (openblas_set_num_threads(1), true);
    (void)once;
}

bool blas_has_avx2_kernels() {
#if defined(__x86_64__)
    const std::string_view kernels = openblas_get_corename();
    return kernels == "Haswell" || kernels == "Zen";
#else
    return false;
#endif
}

bool blas_is_wide([[maybe_unused]] bool avx512) {
#if defined(__x86_64__)
    const std::string_view kernels = openblas_get_corename();
    if (kernels == "SkylakeX" || kernels == "Cooperlake" || kernels == "SapphireRapids") return true;
    return !avx512 && blas_has_avx2_kernels();
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
