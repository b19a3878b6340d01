#include "tomograph/linear/rows_product.h"

#include <cblas.h>

#include "tomograph/linear/blas.h"

namespace tomograph {

// Few of a panel's 48 rows would be in use, and a basis of all sites packed in panels is half as large again.
void multiply_by_rows(const float* a, std::int64_t n, const float* b, std::int64_t k, std::int64_t d,
                      float* out) {
    keep_blas_single_threaded();
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, static_cast<int>(n), static_cast<int>(k),
                static_cast<int>(d), 1, a, static_cast<int>(d), b, static_cast<int>(d), 0, out,
                static_cast<int>(k));
}

void add_transposed_product(const float* a, std::int64_t n, std::int64_t k, const float* b, std::int64_t d,
                            float* out) {
    keep_blas_single_threaded();
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, static_cast<int>(k), static_cast<int>(d),
                static_cast<int>(n), 1, a, static_cast<int>(k), b, static_cast<int>(d), 1, out,
                static_cast<int>(d));
}

}  // namespace tomograph
