#include "tomograph/maps/umap_curve.h"

#include <fmt/format.h>

#include <cmath>

#include "tomograph/base/error.h"

namespace tomograph {
namespace {

struct Fit {
    double squares = 0;                             // sum of squared residuals
    double aa = 0, ab = 0, bb = 0, ar = 0, br = 0;  // normal equations
};

Fit evaluate(double a, double b, double min_dist, double spread) {
    constexpr int n_points = 300;
    Fit fit;
    for (int i = 0; i < n_points; ++i) {
        const double x = 3 * spread * i / (n_points - 1);
        const double wanted = x < min_dist ? 1.0 : std::exp(-(x - min_dist) / spread);
        const double power = x > 0 ? std::pow(x, 2 * b) : 0.0;
        const double value = 1 / (1 + a * power);
        const double residual = wanted - value;
        const double by_a = -power * value * value;
        const double by_b = x > 0 ? -2 * a * std::log(x) * power * value * value : 0.0;
        fit.squares += residual * residual;
        fit.aa += by_a * by_a, fit.ab += by_a * by_b, fit.bb += by_b * by_b;
        fit.ar += by_a * residual, fit.br += by_b * residual;
    }
    return fit;
}

}  // namespace

UmapCurve fit_curve(double min_dist, double spread) {
    if (!(spread > 0) || !std::isfinite(spread) || !(min_dist >= 0) || min_dist > spread) {
        throw Error(fmt::format("no map with min_dist {} and spread {}", min_dist, spread),
                    "spread must be above 0 and min_dist between 0 and spread", "");
    }
    // Levenberg-Marquardt from a = b = 1.
    double a = 1, b = 1, damping = 1e-3;
    Fit now = evaluate(a, b, min_dist, spread);
    for (int iteration = 0; iteration < 200; ++iteration) {
        const double aa = now.aa * (1 + damping), bb = now.bb * (1 + damping);
        const double determinant = aa * bb - now.ab * now.ab;
        if (!(determinant > 0)) break;
        const double step_a = (bb * now.ar - now.ab * now.br) / determinant;
        const double step_b = (aa * now.br - now.ab * now.ar) / determinant;
        const Fit next = evaluate(a + step_a, b + step_b, min_dist, spread);
        if (a + step_a > 0 && b + step_b > 0 && next.squares <= now.squares) {
            a += step_a, b += step_b, now = next;
            damping = std::fmax(damping / 10, 1e-12);
            if (std::fabs(step_a) < 1e-12 * a && std::fabs(step_b) < 1e-12 * b) break;
        } else if ((damping *= 10) > 1e12) {
            break;
        }
    }
    return {a, b};
}

}  // namespace tomograph
