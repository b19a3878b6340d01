#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "tomograph/base/matrix.h"

namespace tomograph {

/// How far two clouds of vectors keep to the same directions, from products of rows of different groups
/// (sequences) only: what rows of one sequence share, and what a row shares with itself, stays out.
class SharedSpread {
  public:
    /// a [n_a, d], b [n_b, d] with their groups, 0 to n_groups - 1. `centre`: each cloud on its own mean
    /// first.
    SharedSpread(const Matrix& a, std::span<const std::int32_t> group_a, const Matrix& b,
                 std::span<const std::int32_t> group_b, int n_groups, bool centre = true);

    /// A = d tr(S_a S_b) / (tr S_a tr S_b), S the second moments. 0: disjoint subspaces; 1: directions that
    /// know nothing of each other; d / participation ratio: the same cloud twice. Weights [n_groups] of 0 and
    /// 1; empty: each once. kNoNumber with fewer than 2 groups.
    double overlap(std::span<const double> weights = {}) const;

    /// Standard deviation of A when b is turned at random, exact: sqrt(2 (d / PR_a - 1) (d / PR_b - 1) /
    /// ((d - 1) (d + 2))), by Schur's lemma for the orthogonal group. Its mean is 1.
    double random_deviation() const;
    /// Participation ratios of a and b, free of the bias that few rows bring.
    double participation_a() const { return participation_[0]; }
    double participation_b() const { return participation_[1]; }

    /// Root mean square of the products of rows of different groups: with unit rows that are not centred, the
    /// cosine of re-paired tokens.
    double rms_product(std::span<const double> weights = {}) const;

  private:
    double mean_square_product(std::span<const double> weights) const;

    double d_;
    MatrixD squares_;          // [n_groups, n_groups] sums of squared products
    MatrixD products_;         // [n_groups, n_groups] products of sums, where rows are centred
    VectorD count_[2];         // [n_groups] rows
    VectorD spread_[2];        // [n_groups] sums of squared norms
    double participation_[2];  // of a, b
};

/// A between these means, on the scale of ratios, that two clouds are neither apart nor alike.
inline constexpr double kOrthogonalLow = 0.8, kOrthogonalHigh = 1.25;

/// Root mean square cosine of rows that belong together: row i of a and of b, by group and weight. Held
/// against SharedSpread::rms_product of the unit rows.
class PairedCosine {
  public:
    PairedCosine(const Matrix& a, const Matrix& b, std::span<const std::int32_t> group, int n_groups);
    double rms(std::span<const double> weights = {}) const;

  private:
    VectorD squares_, count_;  // [n_groups]
};

/// Shares of the variance of vectors in a full two-way table of cells, all of the same number of rows.
struct TwoWayShares {
    double row = 0, column = 0, interaction = 0, residual = 0;  ///< they add up to 1
};
/// From the cells' sums [rows * columns, d], row by row, `count` rows of the data in each cell, and the sum
/// of all squared norms. The first three are eta squared, less what they would be by chance in rows that know
/// no cell (omega squared), so that they are 0 on average where a factor has no effect. Source: Hays (1963),
/// "Statistics for Psychologists".
TwoWayShares two_way_shares(const MatrixD& sums, int rows, int columns, double count, double squares);

/// A linear probe that tells a's rows from b's, fitted to the even layers (of the list) and decided on the
/// odd ones, and the other way round; sequences of fold f are decided by a probe that saw none of them. So
/// only a direction that layers share is of use. Chance is 0.5.
class LeftOutLayersProbe {
  public:
    /// a, b: [L] of [n, d], the same rows at each layer; `group` [n], 0 to n_groups - 1; fold of a group: its
    /// number modulo `n_folds`. Besides the true labels `shuffles` others, in which the two of a token change
    /// places at random, at all layers alike. Ridge penalty as ProbeOptions::alpha.
    LeftOutLayersProbe(std::span<const Matrix> a, std::span<const Matrix> b,
                       std::span<const std::int32_t> group, int n_groups, int n_folds, int shuffles,
                       std::uint64_t seed, double alpha = 1);

    /// Balanced accuracy, mean over layers; kNoNumber with fewer than 2 layers or folds. `weights`
    /// [n_groups].
    double accuracy(std::span<const double> weights = {}) const;
    std::vector<double> by_layer() const;  ///< [L]
    std::vector<double> shuffled() const;  ///< [shuffles] accuracies under shuffled labels

  private:
    void decide(std::span<const Matrix> a, std::span<const Matrix> b, std::size_t parity,
                const std::vector<std::vector<Eigen::Index>>& rows, const Matrix& signs, double alpha);

    std::span<const std::int32_t> group_;  // while it is built
    VectorD count_;                        // [n_groups] rows, both sides
    MatrixD hits_;                         // [n_groups, L] with the true labels
    VectorD shuffled_hits_;                // [shuffles] all together
};

/// Mean over the middle half of a curve by layer less the mean over its first quarter (a layer at least).
double middle_less_first(std::span<const double> by_layer);
/// The first layer at which a curve reaches half of its highest value; -1 where that is not above 0.
int first_at_half(std::span<const double> by_layer);

/// "Quick spread, then tightening", of a positive curve by layer (dispersion or spread), as logarithms of
/// ratios: the middle half over the first layer, and the last layer over the middle half. Fixed places, so
/// that noise makes no peak. Both signs are as claimed when rise > 0 > fall.
struct SpreadTighten {
    double rise = 0, fall = 0;
    int peak = 0;  ///< layer of the highest value, for the eye
};
SpreadTighten spread_then_tighten(std::span<const double> by_layer);

}  // namespace tomograph
