#pragma once
// Curves, clouds and tables of which the truth is known: what verdicts are calibrated against, in the suite
// and in bench/calibrate.
#include <Eigen/QR>
#include <cmath>
#include <functional>
#include <numbers>
#include <string>
#include <vector>

#include "tomograph/base/matrix.h"
#include "tomograph/base/random.h"

namespace tomograph::planted {

inline MatrixD gaussian(Eigen::Index rows, Eigen::Index columns, Rng& rng) {
    MatrixD values(rows, columns);
    for (double& value : values.reshaped<Eigen::RowMajor>()) value = rng.normal();
    return values;
}

/// [d, d] orthonormal, in a random direction.
inline MatrixD rotation(Eigen::Index d, Rng& rng) {
    return Eigen::HouseholderQR<Eigen::MatrixXd>(gaussian(d, d, rng)).householderQ();
}

/// Gaussian paths [n, d] of autocorrelation exp(-(lag / length)^2 / 2): white noise under a Gaussian window.
inline MatrixD smooth_paths(Eigen::Index n, Eigen::Index d, double length, Rng& rng) {
    const double width = length / std::numbers::sqrt2;
    const auto reach = static_cast<Eigen::Index>(std::ceil(4 * width));
    const MatrixD noise = gaussian(n + 2 * reach, d, rng);
    VectorD window(2 * reach + 1);
    for (Eigen::Index i = 0; i < window.size(); ++i) {
        const double at = static_cast<double>(i - reach) / width;
        window[i] = std::exp(-0.5 * at * at);
    }
    window.normalize();
    MatrixD paths(n, d);
    for (Eigen::Index t = 0; t < n; ++t)
        paths.row(t) = window.transpose() * noise.middleRows(t, window.size());
    return paths;
}

/// Ornstein-Uhlenbeck paths [n, d] of autocorrelation exp(-lag / length).
inline MatrixD decaying_paths(Eigen::Index n, Eigen::Index d, double length, Rng& rng) {
    MatrixD paths = gaussian(n, d, rng);
    const double keep = std::exp(-1 / length), shock = std::sqrt(1 - keep * keep);
    for (Eigen::Index t = 1; t < n; ++t) paths.row(t) = keep * paths.row(t - 1) + shock * paths.row(t);
    return paths;
}

inline MatrixD walks(Eigen::Index n, Eigen::Index d, Rng& rng) {
    MatrixD paths = gaussian(n, d, rng);
    for (Eigen::Index t = 1; t < n; ++t) paths.row(t) += paths.row(t - 1);
    return paths;
}

struct CurvePlan {
    double turns = 3;
    double rise = 4;        ///< of the axis over the whole curve, in radii
    double noise = 1;       ///< standard deviation of each coordinate, in radii
    double jitter = 0;      ///< the speed is the exponential of this times a smooth Gaussian path
    double phase_walk = 0;  ///< standard deviation, in radians, of a random walk of the phase over one turn
    double flatness = 0;    ///< 0: round; 1: a flat wave
    double growth = 0;      ///< of the radius over the curve, as a share of it at the middle
};

/// A coil [n, d] about an axis, in a random direction of d >= 3 dimensions; radius 1.
inline MatrixD coil(Eigen::Index n, Eigen::Index d, const CurvePlan& plan, Rng& rng) {
    VectorD phase(n);
    const MatrixD speed = smooth_paths(n, 1, static_cast<double>(n) / 4, rng);
    double at = 0;
    for (Eigen::Index t = 0; t < n; ++t) phase[t] = at += std::exp(plan.jitter * speed(t, 0));
    phase *= 2 * std::numbers::pi * plan.turns / at;
    const double step = plan.phase_walk * std::sqrt(plan.turns / static_cast<double>(n));
    double drift = 2 * std::numbers::pi * rng.uniform();
    MatrixD curve = MatrixD::Zero(n, d);
    for (Eigen::Index t = 0; t < n; ++t) {
        const double place = (static_cast<double>(t) + 0.5) / static_cast<double>(n) - 0.5;
        const double radius = 1 + plan.growth * place;
        curve(t, 0) = radius * std::cos(phase[t] + drift);
        curve(t, 1) = radius * (1 - plan.flatness) * std::sin(phase[t] + drift);
        curve(t, 2) = plan.rise * place;
        drift += step * rng.normal();
    }
    return curve * rotation(d, rng) + plan.noise * gaussian(n, d, rng);
}

/// A family of curves [n, d] from seeds.
struct Family {
    std::string name;
    std::function<MatrixD(Eigen::Index n, Eigen::Index d, Rng& rng)> draw;
};

/// Curves that are no helix.
inline std::vector<Family> curves_without_a_helix() {
    using Index = Eigen::Index;
    const auto between = [](double low, double high, Rng& rng) { return low + (high - low) * rng.uniform(); };
    const auto smooth = [](double part) {
        return [part](Index n, Index d, Rng& rng) {
            return smooth_paths(n, d, static_cast<double>(n) / part, rng);
        };
    };
    const auto decaying = [](double part) {
        return [part](Index n, Index d, Rng& rng) {
            return decaying_paths(n, d, static_cast<double>(n) / part, rng);
        };
    };
    return {
        {"random walk", walks},
        {"line with noise",
         [between](Index n, Index d, Rng& rng) {
             return coil(n, d, {.turns = 0, .rise = between(1, 10, rng), .noise = between(0.05, 1, rng)},
                         rng);
         }},
        {"circle of 1.5 to 12 turns",
         [between](Index n, Index d, Rng& rng) {
             const double jitter = rng.below(2) ? 0.3 : 0;
             return coil(n, d,
                         {.turns = between(1.5, 12, rng),
                          .rise = 0,
                          .noise = between(0.02, 1, rng),
                          .jitter = jitter},
                         rng);
         }},
        {"flat wave on a line",
         [between](Index n, Index d, Rng& rng) {
             const double jitter = rng.below(2) ? 0.3 : 0;
             return coil(n, d,
                         {.turns = between(1.5, 12, rng),
                          .rise = between(1, 6, rng),
                          .noise = between(0.02, 1, rng),
                          .jitter = jitter,
                          .flatness = 1},
                         rng);
         }},
        {"smooth Gaussian, n/4", smooth(4)},
        {"smooth Gaussian, n/8", smooth(8)},
        {"smooth Gaussian, n/16", smooth(16)},
        {"smooth n/8 with noise",
         [](Index n, Index d, Rng& rng) {
             return MatrixD(smooth_paths(n, d, static_cast<double>(n) / 8, rng) + 0.5 * gaussian(n, d, rng));
         }},
        {"Ornstein-Uhlenbeck, n/4", decaying(4)},
        {"Ornstein-Uhlenbeck, n/16", decaying(16)},
        {"Ornstein-Uhlenbeck, n/64", decaying(64)},
        {"white noise", [](Index n, Index d, Rng& rng) { return gaussian(n, d, rng); }},
    };
}

/// Helices at noise equal to their radius, and hard ones.
inline std::vector<Family> helices() {
    using Index = Eigen::Index;
    std::vector<Family> families;
    for (const double turns : {2.0, 3.0, 11.0}) {
        const auto add = [&](const std::string& what, CurvePlan plan) {
            plan.turns = turns;
            families.push_back({std::to_string(static_cast<int>(turns)) + " turns, " + what,
                                [plan](Index n, Index d, Rng& rng) { return coil(n, d, plan, rng); }});
        };
        add("noise 0.1", {.noise = 0.1});
        add("noise 0.5", {.noise = 0.5});
        add("noise 1", {});
        add("noise 1, rise 2", {.rise = 2});
        add("noise 1, uneven speed", {.jitter = 0.3});
        add("noise 1, growing", {.growth = 1});
        add("noise 1, phase walk", {.phase_walk = 0.5});
        add("noise 1.5", {.noise = 1.5});
    }
    return families;
}

}  // namespace tomograph::planted
