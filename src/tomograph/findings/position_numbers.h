#pragma once
// What the findings about position share. For use inside findings/ only.
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tomograph/findings/finding.h"
#include "tomograph/findings/subject.h"
#include "tomograph/statistics/positions.h"

namespace tomograph {

inline constexpr std::int64_t kFewestPositions = 16;
inline constexpr std::int64_t kCurvePoints = 512;  // curves are averaged down to it
inline constexpr int kCurveComponents = 12;

/// Rows of the headline layers' stream by position: shares of variance, and the curve of the means.
struct PositionNumbers {
    std::string why_not;      ///< empty: all below is there
    std::vector<Site> sites;  ///< headline layers
    /// By layer: share of variance that position explains, what shuffling leaves of it, and the bias-free
    /// share.
    std::vector<double> eta2, shuffled, shared;
    double mean_shared = kNoNumber;
    std::vector<double> shared_replicates, shared_left_out;  ///< the latter without each group, [n_groups]
    std::vector<double> shared_pairs_out;  ///< without each pair of them (statistics/inference.h)
    std::vector<PositionTable::Split> split;                 ///< of the mean squared norm, by layer

    std::int64_t n_sequences = 0, n_positions = 0;
    int n_groups = 0;
    MatrixD position;        ///< [n_positions, 1]
    std::string curve_name;  ///< what the curve is of
    std::vector<double> variance_ratio;
    std::vector<MatrixD> parts;  ///< by group: its share of the curve's scores, [n_positions, k]
    MatrixD curve;               ///< curve_under() equal weights
    Matrix basis;                ///< [k, d_model] the curve's axes

    /// The curve with other weights for the groups, [kCurvePoints at most, k].
    MatrixD curve_under(std::span<const double> weights) const;
    /// Around `effect`, from the spread of a statistic of resampled curves; within [0, 1].
    std::optional<Interval> spread(const Subject& subject, int replicates, double effect,
                                   const std::function<double(const MatrixD& curve)>& statistic) const;
};

/// Use Subject::positions(). `basis`: axes of another run's curve to take in place of the curve's own.
/// `first`: positions before it are left out. Errors: Stopped.
PositionNumbers measure_positions(const Subject& subject, const Matrix* basis = nullptr,
                                  std::int64_t first = 1);

/// Scores of points [n, d] on their leading components, by PCA.
MatrixD leading_scores(const Matrix& points, int components);
/// The table `positions`, whose keys several findings write.
inline Json& position_table(Subject& subject) {
    return subject.tables["positions"];
}

}  // namespace tomograph
