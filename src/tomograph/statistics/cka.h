#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "tomograph/base/matrix.h"
#include "tomograph/statistics/statistics.h"

namespace tomograph {

/// Debiased linear centred kernel alignment between two descriptions x [n, d_x], y [n, d_y] of the same n
/// rows: HSIC(x, y) / sqrt(HSIC(x, x) HSIC(y, y)) by its unbiased estimate, whose Gram matrices have their
/// diagonals set to zero. 1: equal up to rotation, shift and scale; 0 on average for descriptions that share
/// nothing, whatever their width; single values can fall below 0. With the diagonals left in, two independent
/// clouds of 667 rows in 4,096 dimensions score 0.86. kNoNumber for fewer than 4 rows or where one of the two
/// has no structure that its own estimate could tell from 0. Sources: Song et al. (2012), "Feature selection
/// via dependence maximization", for the estimate; Kornblith et al. (2019), "Similarity of neural network
/// representations revisited", for CKA.
///
/// O(n d_x d_y) without any n by n matrix where the rows outnumber the dimensions.
double linear_cka(const Matrix& x, const Matrix& y);

/// Whether two curves go through the same shapes at the same places.
struct ShiftedCka {
    double value = kNoNumber;    ///< linear_cka() of the two
    double shifted = kNoNumber;  ///< 97.5 % of what it is with one of them shifted along itself
    double p = 1;                ///< chance of such a value among the shifts
};
/// x [n, d_x], y [n, d_y], a row a place in order, n >= 16. Null: y shifted cyclically by each number of
/// places from n / 8 to 7 n / 8, which keeps how smooth both curves are: any two smooth curves are alike to
/// some degree. Neighbouring shifts of a smooth curve say the same again, so p counts as many as are
/// independent, by the autocorrelation of their values: slow curves have few, and p cannot become small.
/// O(n^3).
ShiftedCka shifted_cka(const Matrix& x, const Matrix& y, int threads = 1);

/// Debiased linear CKA between all pairs of several descriptions of the same rows, kept so that groups of
/// rows (sequences) can be left out or weighted: sums over pairs of groups of the products of the Gram
/// matrices.
class CkaTable {
  public:
    /// `layers`: L matrices [n, d]; `group` [n] ascending, 0 to n_groups - 1. Gram blocks are float32, their
    /// products are added up in float64. Memory beside them: L n n_groups floats.
    CkaTable(std::span<const Matrix> layers, std::span<const std::int32_t> group, int n_groups, int threads);

    /// [L, L] with `weights` [n_groups] for the groups; empty: each once. Weights of 0 and 1 (jackknife,
    /// halves) give what the rows kept would give by themselves. Larger ones never pair a row with its own
    /// copy.
    MatrixD cka(std::span<const double> weights = {}) const;

  private:
    int n_groups_;
    Eigen::Index n_layers_ = 0;
    std::vector<Eigen::Index> begin_;  // [n_groups + 1] rows
    std::vector<MatrixD> products_;    // [n_groups * n_groups] of [L, L]; only s <= t is filled
    std::vector<Matrix>
        row_sums_;  // [L] of [n, n_groups]: each row's Gram entries with a group, itself apart
};

/// Orthogonal Procrustes distance between two descriptions [n, d] of the same rows, each centred and divided
/// by its Frobenius norm: the squared distance that is left after the best rotation, 2 - 2 * (sum of singular
/// values of x^T y). 0: equal up to rotation, shift and scale; 2: nothing shared. Different widths are
/// allowed. Source: Williams et al. (2021), "Generalized shape metrics on neural representations".
double procrustes_distance(const Matrix& x, const Matrix& y);

}  // namespace tomograph
