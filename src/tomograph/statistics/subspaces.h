#pragma once
#include <cstdint>

#include "tomograph/base/matrix.h"

namespace tomograph {

/// Share of the smaller subspace that lies in the larger: the sum of squared cosines of the principal angles
/// over min(k_a, k_b). Rows must be orthonormal. 0: orthogonal; 1: contained.
double subspace_overlap(const MatrixD& a, const MatrixD& b);

/// Its expected value for two random subspaces of d dimensions: max(k_a, k_b) / d.
double random_overlap(std::int64_t k_a, std::int64_t k_b, std::int64_t d);

}  // namespace tomograph
