#pragma once
#include <cstdint>

#include "tomograph/base/matrix.h"
#include "tomograph/base/progress.h"
#include "tomograph/base/rows.h"

namespace tomograph {

/// First and second moments of a set of rows; sets merge without their rows. An empty one (count 0) is
/// neutral.
struct Moments {
    std::int64_t count = 0;
    VectorD mean;      ///< [d]
    MatrixD comoment;  ///< [d, d] sum over rows of (x - mean)(x - mean)^T; symmetric

    /// [d, d] comoment / (count - 1), as numpy.cov and scikit-learn have it. Zero when count is 1.
    MatrixD covariance() const;
};

struct MomentsOptions {
    /// 0: all that the process may use. The bytes of the result do not depend on it.
    int threads = 0;
};

/// Moments of all rows in one pass. Memory: 8 d^2 + about 16 MB, whatever n_rows is.
///
/// Method: rows go in blocks whose size depends on d only. Each block is centred on its own float64 mean
/// before its float32 products, 256 rows at a time, are added up in float64; blocks merge by Chan, Golub &
/// LeVeque (1979), "Updating formulae and a pairwise algorithm for computing sample variances". So a mean far
/// larger than the deviation (massive activations) costs no digits. A block whose values lie beyond 1e12 or
/// below 1e-12 is multiplied by a power of two for its float32 products: no finite rows overflow, none
/// vanish.
///
/// Errors: Error when there are no rows; NonFinite (finite.h) naming the first row with NaN or Inf; Stopped.
Moments compute_moments(const RowSource& rows, const MomentsOptions& options = {},
                        Progress& progress = no_progress());

/// `into` becomes the moments of both sets (Chan et al.). Exact up to rounding: merging in another order
/// changes last bits only. Errors: Error when the dimensions differ.
void merge_moments(Moments& into, const Moments& other);

}  // namespace tomograph
