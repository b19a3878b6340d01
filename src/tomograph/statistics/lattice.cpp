#include "tomograph/statistics/lattice.h"

#include <algorithm>
#include <cmath>

#include "tomograph/base/random.h"
#include "tomograph/statistics/statistics.h"

namespace tomograph {
namespace {

constexpr double kGridStep = 0.5;  // of the grid of wave vectors; a peak is about 2 wide
constexpr double kSmallest = 5;    // |q| below it shows the outline of the cloud
constexpr double kLargest = 64;

struct Peaks {
    double highest = 0, second = 0;
};

/// Structure factor over the half plane of wave vectors, for whitened x and y of which these shares of the
/// variance are noise.
Peaks find_peaks(const Eigen::VectorXd& x, const Eigen::VectorXd& y, double noise_x, double noise_y) {
    const auto n = x.size();
    const double reach = std::clamp(2.5 * std::sqrt(static_cast<double>(n)), 12.0, kLargest);
    const auto half = static_cast<Eigen::Index>(reach / kGridStep);
    Eigen::MatrixXf real_x(n, 2 * half + 1), imag_x(n, 2 * half + 1), real_y(n, half + 1),
        imag_y(n, half + 1);
    for (Eigen::Index q = -half; q <= half; ++q) {
        const Eigen::ArrayXd angle = kGridStep * static_cast<double>(q) * x.array();
        real_x.col(q + half) = angle.cos().cast<float>();
        imag_x.col(q + half) = angle.sin().cast<float>();
    }
    for (Eigen::Index q = 0; q <= half; ++q) {
        const Eigen::ArrayXd angle = kGridStep * static_cast<double>(q) * y.array();
        real_y.col(q) = angle.cos().cast<float>();
        imag_y.col(q) = angle.sin().cast<float>();
    }
    const Eigen::MatrixXf real = real_x.transpose() * real_y - imag_x.transpose() * imag_y;
    const Eigen::MatrixXf imag = real_x.transpose() * imag_y + imag_x.transpose() * real_y;
    const auto blurred = [&](double noise, Eigen::Index from, Eigen::Index to) {
        const Eigen::ArrayXd q =
            kGridStep *
            Eigen::ArrayXd::LinSpaced(to - from + 1, static_cast<double>(from), static_cast<double>(to));
        return Eigen::ArrayXf((-noise * q.square()).exp().cast<float>());
    };
    const Eigen::ArrayXXf weight =
        (blurred(noise_x, -half, half).matrix() * blurred(noise_y, 0, half).matrix().transpose()).array();
    const Eigen::ArrayXXf height =
        weight * (real.array().square() + imag.array().square()) / static_cast<float>(n * n);

    const auto wave = [&](Eigen::Index i, Eigen::Index j) {
        return Eigen::Vector2d(kGridStep * static_cast<double>(i - half), kGridStep * static_cast<double>(j));
    };
    const auto counts = [&](const Eigen::Vector2d& q) { return q.norm() >= kSmallest && q.norm() <= reach; };
    Peaks peaks;
    Eigen::Vector2d top(1, 0);
    for (Eigen::Index j = 0; j <= half; ++j) {
        for (Eigen::Index i = 0; i <= 2 * half; ++i) {
            if (height(i, j) <= peaks.highest || !counts(wave(i, j))) continue;
            peaks.highest = height(i, j);
            top = wave(i, j).normalized();
        }
    }
    for (Eigen::Index j = 0; j <= half; ++j) {
        for (Eigen::Index i = 0; i <= 2 * half; ++i) {
            if (height(i, j) <= peaks.second || !counts(wave(i, j))) continue;
            if (std::abs(wave(i, j).normalized().dot(top)) <= 0.866)
                peaks.second = height(i, j);  // cos 30 degrees
        }
    }
    return peaks;
}

}  // namespace

LatticeScore lattice_score(const MatrixD& points, const LatticeOptions& options) {
    LatticeScore best{kNoNumber, 0, 1, 0};
    const auto rows = sample_indices(points.rows(), options.points, options.seed);
    const auto n = static_cast<Eigen::Index>(rows.size());
    const auto k = std::min<Eigen::Index>(3, points.cols());
    best.n_points = n;
    if (n < 16 || k < 2) return best;
    Eigen::MatrixXd white(n, k);
    for (Eigen::Index i = 0; i < n; ++i)
        white.row(i) = points.row(rows[static_cast<std::size_t>(i)]).leftCols(k);
    white.rowwise() -= white.colwise().mean().eval();
    std::vector<double> noise(static_cast<std::size_t>(k), 0.0);
    for (Eigen::Index c = 0; c < k; ++c) {
        const double deviation = white.col(c).norm() / std::sqrt(static_cast<double>(n));
        if (!(deviation > 0)) return best;
        white.col(c) /= deviation;
        if (!options.noise.empty())
            noise[static_cast<std::size_t>(c)] =
                options.noise[static_cast<std::size_t>(c)] / (deviation * deviation);
    }
    best.score = 0;
    for (int a = 0; a < k; ++a) {
        for (int b = a + 1; b < k; ++b) {
            const Peaks peaks = find_peaks(white.col(a), white.col(b), noise[static_cast<std::size_t>(a)],
                                           noise[static_cast<std::size_t>(b)]);
            if (peaks.second > best.score) best = {peaks.second, a, b, n};
        }
    }
    return best;
}

double gaussian_lattice_score(std::int64_t n, std::int64_t components, std::uint64_t seed,
                              const std::vector<double>& noise) {
    Rng rng(mix(seed, 0x1a77));
    MatrixD cloud(n, std::min<std::int64_t>(3, components));
    for (double& value : cloud.reshaped<Eigen::RowMajor>()) value = rng.normal();
    return lattice_score(cloud, {.noise = noise}).score;
}

}  // namespace tomograph
