#pragma once
#include <vector>

#include "tomograph/base/matrix.h"

namespace tomograph {

/// How two components oscillate together. A description, no evidence of a coil: in a pair of its own
/// principal axes any smooth curve shows quadrature. What turns beyond chance is told by coil.h.
struct PairPhase {
    int first = 0, second = 0;
    double power_share = 0;  ///< of the pair's power, trend removed, at its dominant frequency
    double turns = 0;        ///< that frequency, in full turns over the curve
    double phase = 0;        ///< between the two there, in degrees, 0 to 180; 90 is quadrature
};

/// For every pair of the first `components` columns of `curve` [length, k].
std::vector<PairPhase> pair_phases(const MatrixD& curve, int components = 6);

}  // namespace tomograph
