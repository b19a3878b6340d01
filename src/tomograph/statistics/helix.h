#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "tomograph/base/matrix.h"

namespace tomograph {

/// The best fit of c + D t + A cos(w t) + B sin(w t) to a curve through its leading components, t the
/// position.
struct HelixFit {
    double r2 = 0;           ///< share of the curve's variance that the fit explains
    double line_r2 = 0;      ///< the best of c + D t alone
    double circle_r2 = 0;    ///< the best of c + A cos + B sin alone
    double turns = 0;        ///< full turns over the whole curve at the best w
    double circularity = 0;  ///< smaller over larger singular value of [A B]: 1 a circle, 0 a plain wave
    /// "helix", "line", "circle", "wave" (a line and a flat oscillation) or "none" (r2 under one half).
    std::string shape;
};

/// Fits many curves of the same length: the bases for all w are made once.
class HelixFitter {
  public:
    /// Curves of `length` points. w runs from one full turn over the curve to half a turn a step, in steps of
    /// a tenth of a turn.
    explicit HelixFitter(std::int64_t length);
    /// `curve` [length, k]: scores, the first three columns are used (fewer if there are fewer).
    HelixFit fit(const MatrixD& curve) const;
    /// r2 alone.
    double r2(const MatrixD& curve) const;

  private:
    struct Best {
        double explained = 0;  // sum of squares, beyond the line's
        double turns = 0;
    };
    /// The best w: on the grid, then between its points.
    Best search(const Matrix& curve) const;

    std::vector<double> turns_;
    std::vector<Matrix> bases_;  // per w: [2, length], cos and sin made orthonormal to 1, t and each other
    Eigen::VectorXf line_;       // unit, orthogonal to 1
};

/// How two components oscillate together.
struct PairPhase {
    int first = 0, second = 0;
    double power_share = 0;  ///< of the pair's power, trend removed, at its dominant frequency
    double turns = 0;        ///< that frequency, in full turns over the curve
    double phase = 0;        ///< between the two there, in degrees, 0 to 180; 90 is quadrature
};

/// For every pair of the first `components` columns of `curve` [length, k].
std::vector<PairPhase> pair_phases(const MatrixD& curve, int components = 6);

}  // namespace tomograph
