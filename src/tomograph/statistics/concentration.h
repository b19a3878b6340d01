#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "tomograph/base/matrix.h"

namespace tomograph {

/// Mean cosine over all pairs of different rows, under weights for groups of rows: how far the rows share one
/// direction. Exact in O(n d): the squared norm of the sum of unit rows holds all pairs.
/// Source: Ethayarajh (2019), "How contextual are contextualized word representations?".
class Anisotropy {
  public:
    Anisotropy(const Matrix& rows, std::span<const std::int32_t> group, int n_groups);
    double value(std::span<const double> weights = {}) const;
    /// The same with each row's sign drawn at random: what no common direction looks like.
    double with_random_signs(std::uint64_t seed) const;

  private:
    Matrix unit_;
    MatrixD products_;  // [n_groups, n_groups] of the groups' sums
    VectorD counts_;
};

/// What each coordinate adds to the mean cosine of all pairs of different rows [n, d]: [d], which sum to
/// Anisotropy::value(). Source: Timkey & van Schijndel (2021), "All bark and no bite: rogue dimensions in
/// transformer language models obscure representational quality".
VectorD cosine_contributions(const Matrix& rows);

/// The mean cosine raw, once the mean of all rows is taken away, and without rogue coordinates: the three
/// that add most to it, taken out before rows are made unit vectors. (Three of d >= 4.)
struct AnisotropyForms {
    double raw = 0, centred = 0, without_rogue = 0;
    std::vector<int> rogue;  ///< those coordinates, most first
    double rogue_share = 0;  ///< of the raw value; kNoNumber where that is not above 0
};
AnisotropyForms anisotropy_forms(const Matrix& rows);

/// Mean cosine of pairs, once the mean of all rows is taken away.
double centred_mean_cosine(const Matrix& rows);

/// Coordinates by what they carry of the squared norm.
struct MassiveCoordinates {
    std::vector<int>
        coordinates;  ///< largest first: those that carry at least 2 % and 10 times their even share
    std::vector<double> shares;  ///< of the squared norm, of each of them
    double top_share = 0;        ///< of the top hundredth of all coordinates (at least one)
    int most = 0;                ///< how few coordinates carry half of the squared norm
};

/// From mean squares by coordinate [d]. Source: Sun et al. (2024), "Massive activations in large language
/// models".
MassiveCoordinates massive_coordinates(const VectorD& mean_squares);

/// Share of the top hundredth of coordinates (at least one) in a sum of squares by coordinate.
double top_share(const VectorD& squares);

/// What top_share() would be in a randomly rotated basis: the shares of second moments [d, d] that directions
/// drawn by seed carry, d of them or 512.
double rotated_top_share(const MatrixD& moments, std::uint64_t seed);

}  // namespace tomograph
