#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "tomograph/base/matrix.h"

namespace tomograph {

/// Participation ratio: how many dimensions a spectrum of variances uses, (sum)^2 / sum of squares. k equal
/// variances give k. Source: Gao et al. (2017), "A theory of multineuronal dimensionality, dynamics and
/// measurement".
double participation_ratio(const VectorD& variances);

/// Entropy rank: exp of the entropy of the variances' shares, which Roy & Vetterli (2007) call "The effective
/// rank", as others call the participation ratio. k equal variances give k; never below the ratio.
double entropy_rank(const VectorD& variances);

/// TwoNN from ascending distances to the nearest neighbours [n, 2 or more]: the slope through the origin of
/// -log(1 - F) against log(r2 / r1), the largest tenth of the ratios left out, as skdim.id.TwoNN. Rows with
/// r1 = 0 are left out. `weights` [n] count rows more than once or not at all; empty: each once. kNoNumber
/// where fewer than 2 are left. Source: Facco et al. (2017), "Estimating the intrinsic dimension of datasets
/// by a minimal neighborhood information".
double two_nn(const Matrix& distances, std::span<const double> weights = {});

/// Distances from each row [n, d] to its k nearest rows of other groups (sequences), ascending, [n, k]:
/// neighbours in the text are near because they are neighbours, and would make any dimension small. Exact,
/// O(n^2 d). Rows of 0, which two_nn() and mle_dimension() leave out, where other groups have fewer than k
/// rows.
Matrix nearest_of_other_groups(const Matrix& rows, std::span<const std::int32_t> group, int k,
                               int threads = 1);

/// Maximum likelihood from ascending distances [n, k] to the k nearest neighbours: the inverse of the mean of
/// the rows' inverse estimates, as skdim.id.MLE. Rows with a zero distance are left out. Source: Levina &
/// Bickel (2004); combined as in MacKay & Ghahramani (2005).
double mle_dimension(const Matrix& distances, std::span<const double> weights = {});

}  // namespace tomograph
