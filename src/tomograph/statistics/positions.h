#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "tomograph/base/matrix.h"

namespace tomograph {

/// Rows of sequences of equal length, summed by group of sequences and position: what the share of variance
/// that position explains, and the curve of the positions' means, need under any weights for the groups.
class PositionTable {
  public:
    PositionTable(int n_groups, std::int64_t n_positions, std::int64_t dim);

    /// A whole sequence, [n_positions, dim].
    void add(int group, const Matrix& sequence);
    /// Add another table's sums, of the same shape (the same sequences at another site: averages over sites).
    void add(const PositionTable& other);
    /// Call once after the last add().
    void finish();

    int n_groups() const { return static_cast<int>(sums_.size()); }
    double n_sequences() const { return counts_.sum(); }

    /// Share of the variance that lies between the means of positions: eta squared, SS between over SS total.
    double eta2(std::span<const double> weights = {}) const;
    /// Its expected value if positions were shuffled within each sequence: SS within sequences over SS total,
    /// over the number of sequences. Exact, no shuffling needed.
    double shuffled_eta2() const;
    /// The share that sequences have in common by position, free of the bias that means of few sequences
    /// bring: from products between different groups only. Around 0 where position explains nothing. This,
    /// and not eta2(), may be bootstrapped: a sequence drawn twice agrees with itself.
    double shared(std::span<const double> weights = {}) const;

    /// The mean squared norm of a row, split: what all rows share (mean), what rows of one position share
    /// beyond it, what rows of one sequence share beyond it (context), and the rest. Each from products of
    /// different rows only, so free of the bias of few: 0 on average where nothing is shared, and below 0 by
    /// chance. They add up to 1. Needs two groups and two positions, else kNoNumber.
    struct Split {
        double mean = 0, position = 0, context = 0, residual = 0;
    };
    Split split(std::span<const double> weights = {}) const;

    /// Means by position, [n_positions, dim].
    Matrix means() const;
    /// The groups' sums projected on `basis` [k, dim], for curves under weights: [n_groups] of [n_positions,
    /// k], divided by the number of all sequences.
    std::vector<MatrixD> project(const Matrix& basis) const;

  private:
    std::int64_t n_positions_;
    std::vector<Matrix> sums_;  // [n_groups] of [n_positions, dim]
    MatrixD totals_;            // [n_groups, dim] sums over positions and sequences
    VectorD squares_;           // [n_groups] sums of squared norms
    VectorD within_;            // [n_groups] squares about each sequence's mean
    VectorD counts_;            // [n_groups] sequences
    MatrixD by_position_;       // [n_groups, n_groups] products of sums_
    MatrixD overall_;           // [n_groups, n_groups] products of totals_
};

/// Positions' means averaged in neighbouring runs, so that no more than `most` points are left.
MatrixD thin_curve(const MatrixD& curve, std::int64_t most);

/// The curve with its steps in another, seeded order: as rough as it, but going nowhere in particular.
/// Against it counts what any smooth walk shows: the leading components of a random walk are waves.
/// Source: Antognini & Sohl-Dickstein (2018), "PCA of high dimensional random walks with comparison to neural
/// network training".
MatrixD shuffled_steps(const MatrixD& curve, std::uint64_t seed);
/// The curve's points in a seeded order.
MatrixD shuffled_points(const MatrixD& curve, std::uint64_t seed);

/// Principal axes of a small curve [n, k]: [k, k], a column each, largest first.
MatrixD principal_axes(const MatrixD& curve);
/// Scores of a small curve [n, k] on its own principal components, largest first.
MatrixD principal_scores(const MatrixD& curve);

}  // namespace tomograph
