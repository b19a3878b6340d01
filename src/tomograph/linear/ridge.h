#pragma once
#include <cstdint>

#include "tomograph/base/matrix.h"
#include "tomograph/linear/moments.h"

namespace tomograph {

/// y = x weights + offset.
struct AffineMap {
    Matrix weights;      ///< [d_in, d_out]
    Vector offset;       ///< [d_out]
    double penalty = 0;  ///< as a share of the mean variance of a coordinate of x
    /// Share of y's variance that a map of this penalty explained on rows that it was not fitted on; below 0
    /// where their mean would have been nearer.
    double explained = 0;

    /// [n, d_in] to [n, d_out].
    Matrix apply(const Matrix& x) const;
};

/// The affine map of least squares with a penalty on its weights, in closed form (Hoerl & Kennard 1970,
/// "Ridge regression"). Both moments are of rows that hold x and y one after the other, [x, y] of d_in +
/// d_out; the penalty, a power of ten from 10 down to 1e-5, is the one whose map of `fitted` errs least on
/// `held_out`, and the map returned is fitted on both. Normal equations in float64. Memory: a few matrices of
/// the moments' size. Where x or y does not vary, the map is y's mean. Errors: Error when either has no rows,
/// or LAPACK fails.
AffineMap fit_ridge(const Moments& fitted, const Moments& held_out, std::int64_t d_in);

}  // namespace tomograph
