#include "tomograph/statistics/stretch.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "tomograph/statistics/statistics.h"

namespace tomograph {
namespace {

constexpr double kMost = 2;
constexpr double kFactorStep = 0.01;  // of the factor's logarithm
constexpr Eigen::Index kFewestStretched = 16;

/// The curve at `t`, between its points.
Eigen::RowVectorXd at(const MatrixD& curve, const VectorD& position, double t) {
    const double* first = position.data();
    const double* after = std::upper_bound(first, first + position.size(), t);
    const auto next = std::clamp<Eigen::Index>(after - first, 1, position.size() - 1);
    const double width = position[next] - position[next - 1];
    const double share = width > 0 ? (t - position[next - 1]) / width : 0;
    return (1 - share) * curve.row(next - 1) + share * curve.row(next);
}

double correlation(MatrixD a, MatrixD b) {
    a.rowwise() -= a.colwise().mean().eval();
    b.rowwise() -= b.colwise().mean().eval();
    const double norms = a.norm() * b.norm();
    return norms > 0 ? a.cwiseProduct(b).sum() / norms : 0;
}

}  // namespace

Stretch find_stretch(const MatrixD& reference, const MatrixD& curve, const VectorD& position) {
    const double first = position[0] * kMost, last = position[position.size() - 1] / kMost;
    std::vector<Eigen::Index> common;
    for (Eigen::Index i = 0; i < position.size(); ++i) {
        if (position[i] >= first && position[i] <= last) common.push_back(i);
    }
    if (std::ssize(common) < kFewestStretched) return {kNoNumber, kNoNumber, kNoNumber};
    const MatrixD here = curve(common, Eigen::all);
    const int reach = static_cast<int>(std::log(kMost) / kFactorStep);
    std::vector<double> likeness;
    for (int step = -reach; step <= reach; ++step) {
        const double factor = std::exp(step * kFactorStep);
        MatrixD there(here.rows(), here.cols());
        for (std::size_t i = 0; i < common.size(); ++i)
            there.row(static_cast<Eigen::Index>(i)) = at(reference, position, factor * position[common[i]]);
        likeness.push_back(correlation(here, there));
    }
    const auto best = std::ranges::max_element(likeness);
    auto step = static_cast<double>(best - likeness.begin());
    // The top of the parabola through the best point and its neighbours.
    if (best != likeness.begin() && best + 1 != likeness.end()) {
        const double before = *(best - 1), after = *(best + 1), bend = before - 2 * *best + after;
        if (bend < 0) step += std::clamp(0.5 * (before - after) / bend, -0.5, 0.5);
    }
    return {std::exp((step - reach) * kFactorStep), *best, *best - *std::ranges::min_element(likeness)};
}

}  // namespace tomograph
