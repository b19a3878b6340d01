#include "tomograph/statistics/trajectories.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "tomograph/base/random.h"
#include "tomograph/base/threads.h"
#include "tomograph/statistics/statistics.h"

namespace tomograph {

LayerPaths::LayerPaths(std::span<const Matrix> layers, std::span<const std::int32_t> group, int n_groups,
                       int threads)
    : counts_(VectorD::Zero(n_groups)) {
    const std::size_t n_layers = layers.size();
    if (n_layers == 0) return;
    const Eigen::Index n = layers[0].rows(), d = layers[0].cols();
    for (const std::int32_t g : group) counts_[g] += 1;
    if (n_layers < 2) return;
    shape_.step.resize(n_layers - 1);
    shape_.relative_step.resize(n_layers - 1);
    shape_.common.resize(n_layers - 1);
    shape_.turn.resize(n_layers - 2);
    products_.resize(n_layers - 1);
    MatrixD lengths(static_cast<Eigen::Index>(n_layers - 1), n);
    parallel_for(static_cast<std::int64_t>(n_layers - 1), threads, [&](std::int64_t at) {
        const auto l = static_cast<std::size_t>(at);
        MatrixD sums = MatrixD::Zero(n_groups, d);
        double step_sum = 0, relative_sum = 0, turn_sum = 0, turns = 0;
        Eigen::RowVectorXd step(d), next(d);
        for (Eigen::Index i = 0; i < n; ++i) {
            step = (layers[l + 1].row(i) - layers[l].row(i)).cast<double>();
            const double length = step.norm(), from = layers[l].row(i).cast<double>().norm();
            lengths(at, i) = length;
            step_sum += length;
            if (from > 0) relative_sum += length / from;
            if (length > 0) sums.row(group[static_cast<std::size_t>(i)]) += step / length;
            if (l + 2 >= n_layers) continue;
            next = (layers[l + 2].row(i) - layers[l + 1].row(i)).cast<double>();
            const double both = length * next.norm();
            if (!(both > 0)) continue;
            turn_sum += std::acos(std::clamp(step.dot(next) / both, -1.0, 1.0));
            ++turns;
        }
        shape_.step[l] = step_sum / static_cast<double>(n);
        shape_.relative_step[l] = relative_sum / static_cast<double>(n);
        if (l + 2 < n_layers)
            shape_.turn[l] = turns > 0 ? turn_sum / turns * 180 / std::numbers::pi : kNoNumber;
        shape_.common[l] = sums.colwise().sum().norm() / static_cast<double>(n);
        products_[l] = sums * sums.transpose();
    });
    double straightness = 0, moving = 0;
    for (Eigen::Index i = 0; i < n; ++i) {
        const double length = lengths.col(i).sum();
        if (!(length > 0)) continue;
        straightness += (layers[n_layers - 1].row(i) - layers[0].row(i)).cast<double>().norm() / length;
        ++moving;
    }
    shape_.straightness = moving > 0 ? straightness / moving : kNoNumber;
}

double LayerPaths::common_direction(std::span<const double> weights) const {
    if (products_.empty()) return kNoNumber;
    VectorD w = VectorD::Ones(counts_.size());
    if (!weights.empty()) w = Eigen::Map<const VectorD>(weights.data(), counts_.size());
    double sum = 0;
    for (const MatrixD& products : products_)
        sum += std::sqrt(std::max(0.0, w.dot(products * w))) / w.dot(counts_);
    return sum / static_cast<double>(products_.size());
}

Dispersion::Dispersion(const Matrix& rows, std::span<const std::int32_t> group, int n_groups)
    : squares_(VectorD::Zero(n_groups)), count_(VectorD::Zero(n_groups)) {
    const Eigen::RowVectorXd mean = rows.cast<double>().colwise().mean();
    MatrixD sums = MatrixD::Zero(n_groups, rows.cols());
    for (Eigen::Index i = 0; i < rows.rows(); ++i) {
        const Eigen::RowVectorXd centred = rows.row(i).cast<double>() - mean;
        const std::int32_t g = group[static_cast<std::size_t>(i)];
        sums.row(g) += centred;
        squares_[g] += centred.squaredNorm();
        count_[g] += 1;
    }
    products_ = sums * sums.transpose();
}

double Dispersion::value(std::span<const double> weights) const {
    VectorD w = VectorD::Ones(count_.size());
    if (!weights.empty()) w = Eigen::Map<const VectorD>(weights.data(), count_.size());
    const double n = w.dot(count_);
    return n > 0 ? std::sqrt(std::max(0.0, w.dot(squares_) / n - w.dot(products_ * w) / (n * n))) : kNoNumber;
}

double shuffled_common_direction(std::span<const Matrix> layers, std::uint64_t seed) {
    const std::size_t n_layers = layers.size();
    if (n_layers < 2) return kNoNumber;
    const Eigen::Index n = layers[0].rows(), d = layers[0].cols();
    MatrixD sums = MatrixD::Zero(static_cast<Eigen::Index>(n_layers - 1), d);
    Eigen::RowVectorXd step(d);
    for (Eigen::Index i = 0; i < n; ++i) {
        const auto order =
            permutation(static_cast<std::int64_t>(n_layers), mix(seed, 0x9a7, static_cast<std::uint64_t>(i)));
        for (std::size_t l = 0; l + 1 < n_layers; ++l) {
            step = (layers[static_cast<std::size_t>(order[l + 1])].row(i) -
                    layers[static_cast<std::size_t>(order[l])].row(i))
                       .cast<double>();
            const double length = step.norm();
            if (length > 0) sums.row(static_cast<Eigen::Index>(l)) += step / length;
        }
    }
    return sums.rowwise().norm().mean() / static_cast<double>(n);
}

WayLength way_length(const MatrixD& points, int shuffles, std::uint64_t seed) {
    const Eigen::Index n = points.rows();
    MatrixD distance(n, n);
    for (Eigen::Index i = 0; i < n; ++i) {
        for (Eigen::Index j = 0; j < n; ++j) distance(i, j) = (points.row(i) - points.row(j)).norm();
    }
    WayLength way;
    for (Eigen::Index i = 0; i + 1 < n; ++i) way.length += distance(i, i + 1);
    if (n < 3 || shuffles < 1) {
        way.shuffled = way.shortest = way.p = kNoNumber;
        return way;
    }
    std::vector<double> lengths(static_cast<std::size_t>(shuffles), 0.0);
    int as_short = 1;
    for (std::size_t s = 0; s < lengths.size(); ++s) {
        const auto order = permutation(n, mix(seed, 0x3a7, s));
        for (std::size_t i = 0; i + 1 < order.size(); ++i)
            lengths[s] +=
                distance(static_cast<Eigen::Index>(order[i]), static_cast<Eigen::Index>(order[i + 1]));
        as_short += lengths[s] <= way.length * (1 + 1e-12);
    }
    way.shuffled = std::accumulate(lengths.begin(), lengths.end(), 0.0) / static_cast<double>(shuffles);
    way.shortest = quantile(lengths, 0.025);
    way.p = static_cast<double>(as_short) / (shuffles + 1);
    return way;
}

}  // namespace tomograph
