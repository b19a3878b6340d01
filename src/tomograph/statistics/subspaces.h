#pragma once
#include <cstdint>

#include "tomograph/base/matrix.h"

namespace tomograph {

/// Share of the smaller subspace that lies in the larger: the sum of squared cosines of the principal angles
/// over min(k_a, k_b). Rows must be orthonormal. 0: orthogonal; 1: contained.
double subspace_overlap(const MatrixD& a, const MatrixD& b);

/// Its expected value for two random subspaces of d dimensions: max(k_a, k_b) / d.
double random_overlap(std::int64_t k_a, std::int64_t k_b, std::int64_t d);

/// How much of the rows' variance lies inside a subspace.
struct InsideShare {
    double value = 0;   ///< 0 to 1; kNoNumber where the rows do not differ (below 1e-10 of their mean square)
    double random = 0;  ///< 97.5 % of random subspaces as large hold less
    double p = 1;       ///< share of them, the given one counted, that hold as much
};

/// rows [n, d]; basis [k, d], orthonormal rows. `subspaces`: so many random ones; 0: none, kNoNumber.
InsideShare share_inside(const MatrixD& rows, const MatrixD& basis, int subspaces, std::uint64_t seed,
                         int threads = 1);

}  // namespace tomograph
