#include "tomograph/statistics/coil_null.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "tomograph/base/random.h"
#include "tomograph/statistics/solvers.h"

namespace tomograph {
namespace {

double correlation(Wandering kind, Eigen::Index a, Eigen::Index b, double length) {
    if (kind == Wandering::walk) return static_cast<double>(std::min(a, b) + 1);
    const double lag = std::abs(static_cast<double>(a - b)) / length;
    return std::exp(kind == Wandering::smooth ? -0.5 * lag * lag : -lag);
}

/// Covariance [n, n] of detrended curves of a kind.
Eigen::MatrixXd detrended_covariance(Wandering kind, Eigen::Index n, double length) {
    MatrixD covariance(n, n);
    for (Eigen::Index i = 0; i < n; ++i)
        for (Eigen::Index j = 0; j < n; ++j) covariance(i, j) = correlation(kind, i, j, length);
    const MatrixD half = detrended(covariance).transpose();
    return detrended(half);
}

VectorD mean_diagonals(const Eigen::MatrixXd& covariance) {
    VectorD means(covariance.rows());
    for (Eigen::Index lag = 0; lag < means.size(); ++lag) means[lag] = covariance.diagonal(lag).mean();
    return means;
}

/// The kind's own length for a memory of detrended curves. A walk has none to choose.
double length_for(Wandering kind, Eigen::Index n, double memory) {
    if (kind == Wandering::walk) return 1;
    double best = 0.5, least = std::numeric_limits<double>::infinity();
    constexpr int kSteps = 40;
    for (int i = 0; i < kSteps; ++i) {
        const double length =
            0.5 * std::pow(8.0 * static_cast<double>(n), static_cast<double>(i) / (kSteps - 1));
        const double lag = half_lag(mean_diagonals(detrended_covariance(kind, n, length)));
        const double miss = std::abs(std::log(lag / memory));
        if (miss < least) {
            least = miss;
            best = length;
        }
    }
    return best;
}

}  // namespace

double half_lag(const VectorD& autocovariance) {
    const double half = 0.5 * autocovariance[0];
    for (Eigen::Index lag = 1; lag < autocovariance.size(); ++lag) {
        if (autocovariance[lag] >= half) continue;
        const double before = autocovariance[lag - 1];
        return static_cast<double>(lag - 1) + (before - half) / (before - autocovariance[lag]);
    }
    return static_cast<double>(autocovariance.size());
}

CoilNull fit_coil_null(const TurningBasis& basis, const MatrixD& curve, double turns) {
    const Eigen::Index n = curve.rows();
    const auto points = static_cast<double>(n);
    const MatrixD cosines = basis.cosines(curve);
    CoilNull null;
    null.noise = noise_variance(cosines);
    turns = std::min(turns, points / 4);
    const Eigen::Index kept = std::min(n, static_cast<Eigen::Index>(2 * turns) + 1);
    const VectorD excess =
        (cosines.topRows(kept).colwise().squaredNorm().transpose() - static_cast<double>(kept) * null.noise) /
        points;
    // Components whose excess is negative by chance are balanced by what others have too much.
    null.wandering = excess.cwiseMax(0);
    const double total = std::max(excess.sum(), 0.0), positive = null.wandering.sum();
    if (positive > 0) null.wandering *= total / positive;

    const MatrixD smooth = basis.low_passed(cosines, turns);
    const double noise = null.noise.sum();
    VectorD autocovariance(n);
    for (Eigen::Index lag = 0; lag < n; ++lag) {
        double of_noise = 0;
        for (Eigen::Index m = 0; m < kept; ++m)
            of_noise += std::cos(std::numbers::pi * static_cast<double>(m * lag) / points);
        autocovariance[lag] = smooth.topRows(n - lag).cwiseProduct(smooth.bottomRows(n - lag)).sum() /
                                  static_cast<double>(n - lag) -
                              noise * of_noise / points;
    }
    null.memory = autocovariance[0] > 0 ? std::max(0.5, half_lag(autocovariance)) : 0.5;
    return null;
}

CoilSurrogates::CoilSurrogates(const CoilNull& null, Wandering kind, Eigen::Index length) : null_(null) {
    // Memories are found on a coarse curve: the search looks at forty lengths.
    constexpr Eigen::Index kCoarse = 96;
    const double scale = length > kCoarse ? static_cast<double>(length) / kCoarse : 1;
    const double own =
        scale * length_for(kind, std::min(length, kCoarse), std::max(null.memory / scale, 0.5 / scale));
    const auto [values, vectors] = symmetric_eigen(detrended_covariance(kind, length, own));
    Eigen::Index first = 0;
    while (first + 1 < length && values[first] < 1e-7 * values[length - 1]) ++first;
    const Eigen::Index rank = length - first;
    root_ = vectors.rightCols(rank) * values.tail(rank).cwiseMax(0).cwiseSqrt().asDiagonal() *
            std::sqrt(static_cast<double>(length) / std::max(values.tail(rank).sum(), 1e-300));
}

MatrixD CoilSurrogates::draw(std::uint64_t seed) const {
    Rng rng(seed);
    MatrixD shocks(root_.cols(), null_.noise.size()), noise(root_.rows(), null_.noise.size());
    for (double& value : shocks.reshaped<Eigen::RowMajor>()) value = rng.normal();
    for (double& value : noise.reshaped<Eigen::RowMajor>()) value = rng.normal();
    const MatrixD curve = root_ * shocks * null_.wandering.cwiseSqrt().asDiagonal();
    return detrended(curve + noise * null_.noise.cwiseSqrt().asDiagonal());
}

}  // namespace tomograph
