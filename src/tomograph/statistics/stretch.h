#pragma once
#include "tomograph/base/matrix.h"

namespace tomograph {

/// How many times as fast one curve runs through its places as another does.
struct Stretch {
    double factor =
        0;  ///< curve(t) is most like reference(factor t); kNoNumber where nothing can be followed
    double likeness = 0;  ///< correlation of the two at that factor, over all coordinates
    double contrast = 0;  ///< by how much it exceeds the least correlation of any factor
};

/// Factors from 1/2 to 2, on a grid of 1 % and between its points; the curves are compared where both have
/// points under every factor, each about its own mean there, so that only their shape counts. Curves that
/// look the same under every factor (lines, powers and logarithms of t) have a contrast near 0: their factor
/// means nothing. `reference`, `curve` [n, k]; `position` [n], ascending and above 0. NaN of fewer than 16
/// common points.
Stretch find_stretch(const MatrixD& reference, const MatrixD& curve, const VectorD& position);

}  // namespace tomograph
