#include "tomograph/statistics/coil_turning.h"

#include "tomograph/statistics/solvers.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace tomograph {
namespace {

constexpr double kBandStep = 1.2;  // between the middles of bands

/// The largest singular value of an antisymmetric matrix, which has each of them twice: a Schatten norm of
/// order 16, at most a few per cent above it, smooth and the same for all that are compared.
double largest_singular(const MatrixD& antisymmetric) {
    const double scale = antisymmetric.norm();
    if (!(scale > 0)) return 0;
    Eigen::MatrixXd power = antisymmetric / scale;
    power = (power * power.transpose()).eval();
    for (int i = 0; i < 2; ++i) power = (power * power).eval();
    return scale * std::pow(0.5 * power.squaredNorm(), 1.0 / 16);
}

}  // namespace

VectorD unit_line(Eigen::Index n) {
    return VectorD::LinSpaced(n, -1, 1).normalized();
}

MatrixD detrended(const MatrixD& curve) {
    MatrixD rest = curve;
    rest.rowwise() -= rest.colwise().mean().eval();
    const VectorD line = unit_line(curve.rows());
    rest -= line * (line.transpose() * rest).eval();
    return rest;
}

TurningBasis::TurningBasis(Eigen::Index n) : n_(n), cosine_(n, n) {
    const double most = static_cast<double>(n) / 6;
    for (double f = kLowest; f <= most || frequencies_.empty(); f *= kBandStep) {
        frequencies_.push_back(f);
        begin_.push_back(static_cast<Eigen::Index>(std::ceil(2 * f / kWidth)));
        end_.push_back(std::min(n, static_cast<Eigen::Index>(std::ceil(2 * f * kWidth))));
    }
    first_ = begin_.front();
    const Eigen::Index bins = end_.back() - first_;
    fourier_.resize(2 * bins, n);
    for (Eigen::Index b = 0; b < bins; ++b) {
        for (Eigen::Index t = 0; t < n; ++t) {
            const double angle =
                std::numbers::pi * static_cast<double>((first_ + b) * t % (2 * n)) / static_cast<double>(n);
            fourier_(b, t) = std::cos(angle);
            fourier_(bins + b, t) = std::sin(angle);
        }
    }
    for (Eigen::Index m = 0; m < n; ++m) {
        const double scale = std::sqrt((m == 0 ? 1.0 : 2.0) / static_cast<double>(n));
        for (Eigen::Index t = 0; t < n; ++t)
            cosine_(m, t) = scale * std::cos(std::numbers::pi * static_cast<double>(m * (2 * t + 1)) /
                                             static_cast<double>(2 * n));
    }
}

TurningBasis::Turning TurningBasis::turning(const MatrixD& curve) const {
    const Eigen::Index bins = end_.back() - first_, k = curve.cols();
    // Half of the padded transform's bins hold n times the curve's squares.
    const double total = static_cast<double>(n_) * curve.squaredNorm();
    Turning result;
    if (!(total > 0)) {
        result.planes.assign(frequencies_.size(), MatrixD::Zero(k, k));
        result.share.assign(frequencies_.size(), 0);
        return result;
    }
    const MatrixD waves = fourier_ * curve;
    const auto re = waves.topRows(bins), im = waves.bottomRows(bins);
    for (std::size_t f = 0; f < frequencies_.size(); ++f) {
        const Eigen::Index at = begin_[f] - first_, count = end_[f] - begin_[f];
        const MatrixD product = re.middleRows(at, count).transpose() * im.middleRows(at, count);
        result.planes.push_back(product - product.transpose());
        result.share.push_back(2 * largest_singular(result.planes.back()) / total);
    }
    return result;
}

MatrixD TurningBasis::low_passed(const MatrixD& cosines, double turns) const {
    const Eigen::Index kept = std::min(n_, static_cast<Eigen::Index>(2 * turns) + 1);
    return cosine_.topRows(kept).transpose() * cosines.topRows(kept);
}

Winding winding_of(const MatrixD& path) {
    Winding winding;
    for (Eigen::Index t = 1; t < path.rows(); ++t) {
        const double cross = path(t - 1, 0) * path(t, 1) - path(t - 1, 1) * path(t, 0);
        const double angle = std::atan2(cross, path.row(t).dot(path.row(t - 1))) / (2 * std::numbers::pi);
        winding.net += angle;
        winding.total += std::abs(angle);
    }
    winding.net = std::abs(winding.net);
    return winding;
}

Winding TurningBasis::winding(const MatrixD& cosines, const MatrixD& plane, double turns) const {
    return winding_of(low_passed(cosines * plane, turns));
}

double TurningBasis::quiet_turns(const MatrixD& path, double frequency) const {
    const double n = static_cast<double>(n_), noise = noise_variance(path).sum();  // of one point
    const double squares = path.bottomRows(n_ - 1).squaredNorm() / n;              // radius and noise
    const double quiet = noise > 0 ? 0.5 * n * 0.04 * std::max(squares - noise, 0.0) / noise : n;
    return std::clamp(quiet, std::min(2.5 * frequency, 0.5 * n), 0.5 * n);
}

VectorD noise_variance(const MatrixD& cosines) {
    const Eigen::Index high = cosines.rows() - cosines.rows() / 2;
    return cosines.bottomRows(high).colwise().squaredNorm().transpose() / static_cast<double>(high);
}

bool Turn::coiled() const {
    return share >= kOneCoil && roundness >= kRound && winding.net >= kTurns;
}

Turn describe_turn(const TurningBasis& basis, const TurningBasis::Turning& turning, const MatrixD& curve,
                   std::size_t at) {
    Turn turn;
    turn.at = at;
    turn.turning = turning.share[at];
    const Eigen::Index axes = std::min<Eigen::Index>(curve.cols(), 2);
    turn.plane = MatrixD::Zero(curve.cols(), 2);  // a curve of one dimension has no plane to turn in
    turn.plane.leftCols(axes) = left_singular_vectors(turning.planes[at]).leftCols(axes);
    const MatrixD cosines = basis.cosines(curve);
    const VectorD noise = noise_variance(cosines);
    const double n = static_cast<double>(curve.rows()), total = curve.squaredNorm();
    if (!(total > 0)) return turn;
    // Where hardly more than noise is there, the share says little; it is p that decides then.
    turn.share = turning.share[at] * total / std::max(total - n * noise.sum(), 0.02 * total);
    const double f = basis.frequencies()[at], low = f / TurningBasis::kWidth, high = f * TurningBasis::kWidth;
    const MatrixD flat = cosines * turn.plane;
    const auto begin = static_cast<Eigen::Index>(std::ceil(2 * low));
    const Eigen::Index end =
        std::min<Eigen::Index>(curve.rows(), static_cast<Eigen::Index>(std::ceil(2 * high)));
    const double band = flat.middleRows(begin, end - begin).squaredNorm() -
                        static_cast<double>(end - begin) * noise_variance(flat).sum();
    turn.roundness = band > 0 ? std::min(1.0, turning.share[at] * total / band) : 1;
    turn.winding = basis.winding(cosines, turn.plane, basis.quiet_turns(flat, f));
    return turn;
}

}  // namespace tomograph
