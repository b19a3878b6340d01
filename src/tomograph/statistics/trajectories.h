#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "tomograph/base/matrix.h"

namespace tomograph {

/// How tokens move from layer to layer. Averages are over tokens.
struct PathShape {
    std::vector<double> step;           ///< [L - 1] mean length of the step from layer l to l + 1
    std::vector<double> relative_step;  ///< [L - 1] the same, each divided by the norm that it starts from
    std::vector<double> turn;           ///< [L - 2] mean angle between consecutive steps, in degrees
    std::vector<double> common;  ///< [L - 1] mean resultant length of the steps' directions; 1: all alike
    double straightness = 0;     ///< distance from first to last over the length of the path; 1: a line
};

/// Paths of n tokens through L layers, with weights for groups of tokens.
/// Source of the resultant length: Mardia & Jupp (2000), "Directional Statistics", section 9.2.
class LayerPaths {
  public:
    /// `layers`: L matrices [n, d], the same tokens in the same order; row i belongs to group[i].
    LayerPaths(std::span<const Matrix> layers, std::span<const std::int32_t> group, int n_groups,
               int threads);

    const PathShape& shape() const { return shape_; }
    /// Mean over the steps of the resultant length of their directions.
    double common_direction(std::span<const double> weights = {}) const;

  private:
    PathShape shape_;
    std::vector<MatrixD> products_;  // per step: [n_groups, n_groups] of the groups' sums of unit steps
    VectorD counts_;
};

/// Root mean square distance of rows [n, d] from their mean, under weights for groups of rows.
class Dispersion {
  public:
    Dispersion(const Matrix& rows, std::span<const std::int32_t> group, int n_groups);
    double value(std::span<const double> weights = {}) const;

  private:
    MatrixD products_;         // [n_groups, n_groups] of the groups' sums about the mean of all
    VectorD squares_, count_;  // [n_groups]
};

/// How long the way through some points is in their order, beside the same points in shuffled orders.
struct WayLength {
    double length = 0;    ///< sum of the distances from each point to the next
    double shuffled = 0;  ///< mean over the shuffles
    double shortest = 0;  ///< 2.5 % of the shuffles are shorter
    double p = 1;         ///< share of the orders, the given one counted, that are as short
};

/// points [n, d]. Fewer than 3 points have one way only: kNoNumber in place of what shuffles give.
WayLength way_length(const MatrixD& points, int shuffles, std::uint64_t seed);

/// common_direction() when each token goes through the layers in an order of its own: what is left of a
/// common path once the order of layers says nothing.
double shuffled_common_direction(std::span<const Matrix> layers, std::uint64_t seed);

}  // namespace tomograph
