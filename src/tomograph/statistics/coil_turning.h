#pragma once
#include <vector>

#include "tomograph/base/matrix.h"

namespace tomograph {

/// Centred columns, and the best line taken away.
MatrixD detrended(const MatrixD& curve);
/// The unit vector [n] along which a line runs.
VectorD unit_line(Eigen::Index n);

/// Net and total turns of a path [n, 2] about the origin.
struct Winding {
    double net = 0, total = 0;
};
Winding winding_of(const MatrixD& path);

/// The transforms that curves of one length share. Frequencies are in turns over the curve.
class TurningBasis {
  public:
    static constexpr double kWidth = 1.6;   // a band reaches this factor to either side of its middle
    static constexpr double kLowest = 2.0;  // fewer turns than that are any smooth curve's

    explicit TurningBasis(Eigen::Index n);

    Eigen::Index length() const { return n_; }
    const std::vector<double>& frequencies() const { return frequencies_; }

    /// What turns, by band: the antisymmetric part of the cross-spectrum, summed over the band.
    struct Turning {
        std::vector<MatrixD> planes;  ///< [frequency] of [k, k]
        std::vector<double> share;    ///< [frequency] of the curve's variance
    };
    /// `curve` [n, k], detrended.
    Turning turning(const MatrixD& curve) const;

    /// Cosine transform, orthonormal, [n, k]: row m is the frequency of m / 2 turns.
    MatrixD cosines(const MatrixD& curve) const { return cosine_ * curve; }
    /// The curve without its frequencies above `turns`.
    MatrixD low_passed(const MatrixD& cosines, double turns) const;

    /// Turns about the middle in a plane [k, 2] of a curve's cosine transform, frequencies up to `turns`
    /// kept.
    Winding winding(const MatrixD& cosines, const MatrixD& plane, double turns) const;

    /// Up to which frequency a path [n, 2] of cosine transforms can be followed: its noise stays under a
    /// tenth of its radius. 2.5 times `frequency` at least.
    double quiet_turns(const MatrixD& path, double frequency) const;

  private:
    Eigen::Index n_;
    std::vector<double> frequencies_;
    std::vector<Eigen::Index> begin_, end_;  // [frequency] bins of half a turn
    Eigen::Index first_ = 0;                 // the lowest bin that any band holds
    MatrixD fourier_;                        // [2 * bins, n]: cosines, then sines
    MatrixD cosine_;                         // [n, n]
};

/// What one coil needs: this share of the variance without noise, this roundness, and these net turns.
inline constexpr double kOneCoil = 0.5, kRound = 0.5, kTurns = 1.75;

/// How a curve turns at its best frequency, and whether that is a coil.
struct Turn {
    std::size_t at = 0;  ///< index of the frequency
    MatrixD plane;       ///< [k, 2] orthonormal columns
    double turning = 0;  ///< share of the variance
    double share = 0;    ///< of the variance without noise
    double roundness = 0;
    Winding winding;

    /// One coil, round, of nearly two turns at least.
    bool coiled() const;
};
Turn describe_turn(const TurningBasis& basis, const TurningBasis::Turning& turning, const MatrixD& curve,
                   std::size_t at);

/// Variance of the noise of each component [k]: mean square of the cosine transform above a quarter of the
/// points' number in turns, where a coil that is measurable has nothing.
VectorD noise_variance(const MatrixD& cosines);

}  // namespace tomograph
