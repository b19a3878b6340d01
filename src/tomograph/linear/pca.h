#pragma once
#include <cstdint>

#include "tomograph/base/matrix.h"
#include "tomograph/base/progress.h"
#include "tomograph/base/rows.h"
#include "tomograph/linear/moments.h"

namespace tomograph {

struct PcaOptions {
    /// Components to keep, largest variance first. 0: as many as there can be. More than min(n_rows - 1, d)
    /// cannot carry variance: the number is lowered to that, so look at Pca::n_components(). Default 6.
    int n_components = 6;
    /// false: directions through the origin (uncentred second moments, as TruncatedSVD); the stored mean is
    /// 0.
    bool center = true;
    /// 0: all that the process may use. The bytes of the result do not depend on it.
    int threads = 0;
};

/// A fitted basis; transform() projects any rows of the same dimension into it.
struct Pca {
    Vector mean;        ///< [d]; zero when fitted uncentred
    Matrix components;  ///< [k, d], orthonormal rows; the largest coordinate in magnitude is positive
    VectorD explained_variance;        ///< [k], divided by n_rows - 1
    VectorD explained_variance_ratio;  ///< [k], of total_variance; 0 when that is 0
    double total_variance = 0;         ///< sum of the variances of all d coordinates
    std::int64_t n_rows = 0;           ///< rows that it was fitted to

    int n_components() const { return static_cast<int>(components.rows()); }
};

/// PCA of all rows in one pass over them (compute_moments, then fit_pca of the moments). Out of core: memory
/// is O(d^2 + block). Agrees with sklearn.decomposition.PCA(svd_solver="covariance_eigh").
///
/// Degenerate: rows that are all equal give variance 0, ratio 0 and coordinate axes as components, so all
/// scores are 0. Errors: Error when there are fewer than 2 rows (1 when uncentred); NonFinite (finite.h)
/// naming the row; Stopped.
Pca fit_pca(const RowSource& rows, const PcaOptions& options = {}, Progress& progress = no_progress());

/// The same from moments, for instance merged from several runs. `options.threads` is ignored.
/// Eigenvectors: Lanczos (Spectra) when few of many are asked, else LAPACK's divide and conquer on one
/// thread.
Pca fit_pca(const Moments& moments, const PcaOptions& options = {});

struct TransformOptions {
    /// Subtract the fitted mean first. Off: scores of raw vectors, whose origin is the vector 0.
    bool center = true;
    /// Divide each score by its component's standard deviation; components without variance score 0.
    bool whiten = false;
    /// 0: all that the process may use.
    int threads = 0;
};

/// Scores [n_rows, k] of any rows under a fitted basis, block by block.
/// Errors: Error when the dimension is not the basis's; NonFinite naming the row; Stopped.
Matrix transform(const Pca& pca, const RowSource& rows, const TransformOptions& options = {},
                 Progress& progress = no_progress());

}  // namespace tomograph
