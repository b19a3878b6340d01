#pragma once
#include <cstdint>
#include <vector>

#include "tomograph/base/matrix.h"

namespace tomograph {

/// Principal angles in radians between the spans of the rows of a [k_a, d] and b [k_b, d], largest first, as
/// scipy.linalg.subspace_angles (of the transposed matrices). Neither needs to be orthonormal; directions
/// that a matrix repeats count once. Source: Knyazev & Argentati (2002), "Principal angles between subspaces
/// in an A-based scalar product": cosines for the large angles, sines for the small ones.
std::vector<double> principal_angles(const MatrixD& a, const MatrixD& b);

/// Share of the smaller subspace that lies in the larger: the sum of squared cosines of the principal angles
/// over min(k_a, k_b). Rows must be orthonormal. 0: orthogonal; 1: contained.
double subspace_overlap(const MatrixD& a, const MatrixD& b);

/// Its expected value for two random subspaces of d dimensions: max(k_a, k_b) / d.
double random_overlap(std::int64_t k_a, std::int64_t k_b, std::int64_t d);

/// Mean principal angle of random subspaces of these sizes, in radians, by drawing `draws` of them.
double random_mean_angle(std::int64_t k_a, std::int64_t k_b, std::int64_t d, std::uint64_t seed,
                         int draws = 3);

/// Mean of principal_angles() of orthonormal rows through the cosines alone: fast, exact to 1e-7 for angles
/// that are not tiny.
double mean_angle(const MatrixD& a, const MatrixD& b);

}  // namespace tomograph
