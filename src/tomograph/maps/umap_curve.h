#pragma once

namespace tomograph {

/// The family 1 / (1 + a x^(2b)) that tells how close two points of a map look at distance x.
struct UmapCurve {
    double a = 1.577;
    double b = 0.895;
};

/// Least squares of that family to: 1 up to min_dist, then exp(-(x - min_dist) / spread); 300 points on
/// [0, 3 spread], as umap-learn's find_ab_params. Errors: Error when spread is not a number above 0 or
/// min_dist not one in [0, spread].
UmapCurve fit_curve(double min_dist, double spread);

}  // namespace tomograph
