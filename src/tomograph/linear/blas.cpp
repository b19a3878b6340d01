#include "tomograph/linear/blas.h"

#include <cblas.h>

namespace tomograph {

void keep_blas_single_threaded() {
    static const bool once = (openblas_set_num_threads(1), true);
    (void)once;
}

std::string blas_description() {
    std::string text = openblas_get_config();
    while (!text.empty() && text.back() == ' ') text.pop_back();
    return text;
}

}  // namespace tomograph
