#include "tomograph/linear/blas.h"

#include <cblas.h>

namespace tomograph {

void keep_blas_single_threaded() {
    static const bool once = (openblas_set_num_threads(1), true);
    (void)once;
}

}  // namespace tomograph
