#pragma once
#include "tomograph/base/rows.h"

namespace tomograph {

/// How far rows lie apart, all coordinates together.
struct Spread {
    double total_variance = 0;  ///< sum of the variances of all coordinates, over n_rows - 1
    double mean_square = 0;     ///< squared length of the mean, plus total_variance

    /// 0 where all rows are zero.
    double relative_variance() const { return mean_square > 0 ? total_variance / mean_square : 0; }
    /// Is the variance what rounding to float16 leaves of equal rows? A rotary model gives one token repeated
    /// the same vector at every position, and reducers would scale the rounding up and take it for structure.
    bool constant() const { return total_variance <= 1e-5 * mean_square; }
};

/// One pass over the rows, in float64. Memory: 2 KB d. The bytes of the result do not depend on `threads`
/// (0: all that the process may use). Errors: NonFinite (finite.h) naming the first row with NaN or Inf.
Spread measure_spread(const RowSource& rows, int threads = 0);

}  // namespace tomograph
