#include "tomograph/linear/eigenpairs.h"

#include <fmt/format.h>
#include <lapacke.h>

#include "tomograph/base/error.h"
#include "tomograph/linear/blas.h"

namespace tomograph {

Eigenpairs all_eigenpairs(const MatrixD& symmetric, const char* task) {
    keep_blas_single_threaded();
    const auto d = static_cast<lapack_int>(symmetric.rows());
    MatrixD vectors = symmetric;
    VectorD values(d);
    // Column-major LAPACK writes eigenvector i, ascending, into what a row-major reader sees as row i.
    const auto failed = LAPACKE_dsyevd(LAPACK_COL_MAJOR, 'V', 'U', d, vectors.data(), d, values.data());
    if (failed) throw Error(task, fmt::format("LAPACK's dsyevd gave {}", failed), "");
    return {values.reverse(), vectors.colwise().reverse()};
}

}  // namespace tomograph
