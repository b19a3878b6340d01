#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "tomograph/base/matrix.h"

namespace tomograph {

/// Linear centred kernel alignment between two descriptions x [n, d_x], y [n, d_y] of the same n rows:
/// ||y^T x||^2 / (||x^T x|| ||y^T y||), columns centred, Frobenius norms. 1: equal up to rotation and scale.
/// kNoNumber where one of them is constant. Source: Kornblith et al. (2019), "Similarity of neural network
/// representations revisited".
double linear_cka(const Matrix& x, const Matrix& y);

/// CKA between all pairs of several descriptions of the same rows, kept so that groups of rows (sequences)
/// can be weighted again: sums over pairs of groups of the product of the centred Gram matrices.
class CkaTable {
  public:
    /// `layers`: L matrices [n, d]; `group` [n] ascending, 0 to n_groups - 1. Each is centred on its mean
    /// over all rows, which stays put under weights. Gram blocks are float32, their products are added up in
    /// float64.
    CkaTable(std::span<const Matrix> layers, std::span<const std::int32_t> group, int n_groups, int threads);

    /// [L, L] with `weights` [n_groups] for the groups; empty: each once.
    MatrixD cka(std::span<const double> weights = {}) const;

  private:
    int n_groups_;
    std::vector<MatrixD> products_;  // [n_groups * n_groups] of [L, L]; only s <= t is filled
};

/// Orthogonal Procrustes distance between two descriptions [n, d] of the same rows, each centred and divided
/// by its Frobenius norm: the squared distance that is left after the best rotation, 2 - 2 * (sum of singular
/// values of x^T y). 0: equal up to rotation, shift and scale; 2: nothing shared. Different widths are
/// allowed. Source: Williams et al. (2021), "Generalized shape metrics on neural representations".
double procrustes_distance(const Matrix& x, const Matrix& y);

}  // namespace tomograph
