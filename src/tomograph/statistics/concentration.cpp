#include "tomograph/statistics/concentration.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "tomograph/base/random.h"
#include "tomograph/statistics/clouds.h"
#include "tomograph/statistics/statistics.h"

namespace tomograph {

Anisotropy::Anisotropy(const Matrix& rows, std::span<const std::int32_t> group, int n_groups)
    : unit_(unit_rows(rows)), counts_(VectorD::Zero(n_groups)) {
    MatrixD sums = MatrixD::Zero(n_groups, rows.cols());
    for (Eigen::Index i = 0; i < rows.rows(); ++i) {
        const std::int32_t g = group[static_cast<std::size_t>(i)];
        sums.row(g) += unit_.row(i).cast<double>();
        counts_[g] += 1;
    }
    products_ = sums * sums.transpose();
}

double Anisotropy::value(std::span<const double> weights) const {
    VectorD w = VectorD::Ones(counts_.size());
    if (!weights.empty()) w = Eigen::Map<const VectorD>(weights.data(), counts_.size());
    const double n = w.dot(counts_);
    return n > 1 ? (w.dot(products_ * w) - n) / (n * (n - 1)) : kNoNumber;
}

double Anisotropy::with_random_signs(std::uint64_t seed) const {
    Rng rng(mix(seed, 0x5165));
    VectorD sum = VectorD::Zero(unit_.cols());
    for (Eigen::Index i = 0; i < unit_.rows(); ++i) {
        const double sign = rng() & 1 ? 1 : -1;
        sum += sign * unit_.row(i).transpose().cast<double>();
    }
    const auto n = static_cast<double>(unit_.rows());
    return n > 1 ? (sum.squaredNorm() - n) / (n * (n - 1)) : kNoNumber;
}

VectorD cosine_contributions(const Matrix& rows) {
    const Matrix unit = unit_rows(rows);
    const auto n = static_cast<double>(rows.rows());
    const VectorD sums = unit.cast<double>().colwise().sum().transpose();
    const VectorD squares = unit.cast<double>().colwise().squaredNorm().transpose();
    return (sums.cwiseAbs2() - squares) / (n * (n - 1));
}

AnisotropyForms anisotropy_forms(const Matrix& rows) {
    AnisotropyForms forms;
    const VectorD parts = cosine_contributions(rows);
    forms.raw = parts.sum();
    forms.centred = centred_mean_cosine(rows);
    forms.without_rogue = forms.rogue_share = kNoNumber;
    if (rows.cols() < 4) return forms;
    std::vector<int> order(static_cast<std::size_t>(parts.size()));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return parts[a] > parts[b]; });
    forms.rogue.assign(order.begin(), order.begin() + 3);
    Matrix rest = rows;
    double of_rogue = 0;
    for (const int coordinate : forms.rogue) {
        rest.col(coordinate).setZero();
        of_rogue += parts[coordinate];
    }
    forms.without_rogue = cosine_contributions(rest).sum();
    if (forms.raw > 0) forms.rogue_share = of_rogue / forms.raw;
    return forms;
}

double centred_mean_cosine(const Matrix& rows) {
    Matrix centred = rows;
    centred.rowwise() -= rows.cast<double>().colwise().mean().cast<float>().eval();
    const std::vector<std::int32_t> group(static_cast<std::size_t>(rows.rows()), 0);
    return Anisotropy(centred, group, 1).value();
}

double top_share(const VectorD& squares) {
    std::vector<double> sorted(squares.begin(), squares.end());
    const auto top = std::max<std::ptrdiff_t>(1, squares.size() / 100);
    std::partial_sort(sorted.begin(), sorted.begin() + top, sorted.end(), std::greater<>());
    const double sum = squares.sum();
    return sum > 0 ? std::accumulate(sorted.begin(), sorted.begin() + top, 0.0) / sum : kNoNumber;
}

MassiveCoordinates massive_coordinates(const VectorD& mean_squares) {
    MassiveCoordinates result;
    const double sum = mean_squares.sum();
    result.top_share = top_share(mean_squares);
    if (!(sum > 0)) return result;
    std::vector<int> order(static_cast<std::size_t>(mean_squares.size()));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int a, int b) { return mean_squares[a] > mean_squares[b]; });
    const double least = std::max(0.02, 10.0 / static_cast<double>(mean_squares.size()));
    double carried = 0;
    for (const int coordinate : order) {
        const double share = mean_squares[coordinate] / sum;
        if (share >= least) {
            result.coordinates.push_back(coordinate);
            result.shares.push_back(share);
        }
        if (carried < 0.5) ++result.most;
        carried += share;
    }
    return result;
}

double rotated_top_share(const MatrixD& moments, std::uint64_t seed) {
    const Eigen::Index d = moments.rows(), n = std::min<Eigen::Index>(d, 512);
    Rng rng(mix(seed, 0x207a));
    Eigen::MatrixXd directions(d, n);
    for (double& value : directions.reshaped()) value = rng.normal();
    directions.colwise().normalize();  // in many dimensions as good as orthogonal, and far cheaper
    std::vector<double> squares;
    const Eigen::MatrixXd products = moments * directions;
    for (Eigen::Index i = 0; i < n; ++i) squares.push_back(products.col(i).dot(directions.col(i)));
    const auto top = std::max<std::ptrdiff_t>(1, n / 100);
    std::partial_sort(squares.begin(), squares.begin() + top, squares.end(), std::greater<>());
    const double mean =
        std::accumulate(squares.begin(), squares.begin() + top, 0.0) / static_cast<double>(top);
    const double trace = moments.trace();
    return trace > 0 ? mean * static_cast<double>(std::max<Eigen::Index>(1, d / 100)) / trace : kNoNumber;
}

}  // namespace tomograph
