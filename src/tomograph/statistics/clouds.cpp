#include "tomograph/statistics/clouds.h"

#include <algorithm>
#include <cmath>

#include "tomograph/linear/normalize.h"
#include "tomograph/statistics/statistics.h"

namespace tomograph {
namespace {

/// Mean distance of rows to their mean, and the sum of its squares.
struct CloudSpread {
    Eigen::RowVectorXd mean;
    double distance = 0;
    double squares = 0;
};

CloudSpread spread_of(const Matrix& rows) {
    CloudSpread spread{rows.cast<double>().colwise().mean(), 0, 0};
    for (Eigen::Index i = 0; i < rows.rows(); ++i) {
        const double squared = (rows.row(i).cast<double>() - spread.mean).squaredNorm();
        spread.squares += squared;
        spread.distance += std::sqrt(squared);
    }
    spread.distance /= static_cast<double>(rows.rows());
    return spread;
}

/// The silhouette of one row from its mean distances to its own cloud and to the other.
double row_silhouette(double own, double other) {
    const double larger = std::max(own, other);
    return larger > 0 ? (other - own) / larger : 0;
}

}  // namespace

Matrix unit_rows(const Matrix& rows) {
    Matrix unit = rows;
    normalize_rows(Normalize::unit, unit.data(), unit.rows(), unit.cols());
    return unit;
}

CloudScores compare_clouds(const Matrix& a, const Matrix& b) {
    CloudScores scores{kNoNumber, kNoNumber, kNoNumber};
    const auto n_a = static_cast<double>(a.rows()), n_b = static_cast<double>(b.rows());
    if (a.rows() < 2 || b.rows() < 2) return scores;
    Matrix rows(a.rows() + b.rows(), a.cols());
    rows << a, b;
    std::vector<std::int8_t> labels(static_cast<std::size_t>(rows.rows()), 0);
    std::fill(labels.begin() + a.rows(), labels.end(), std::int8_t{1});
    const std::vector<std::int32_t> group(labels.size(), 0);
    scores.silhouette = CosineSilhouette(rows, group, 1).value(labels);

    const CloudSpread in_a = spread_of(a), in_b = spread_of(b);
    const double between = (in_a.mean - in_b.mean).norm();
    if (between > 0) scores.davies_bouldin = (in_a.distance + in_b.distance) / between;
    const double within = in_a.squares + in_b.squares;
    if (within > 0)
        scores.calinski_harabasz = n_a * n_b / (n_a + n_b) * between * between / within * (n_a + n_b - 2);
    return scores;
}

CosineSilhouette::CosineSilhouette(const Matrix& rows, std::span<const std::int32_t> group, int n_groups)
    : unit_(unit_rows(rows)), group_(group.begin(), group.end()), n_groups_(n_groups) {}

CosineSilhouette::Labelled CosineSilhouette::labelled(std::span<const std::int8_t> labels) const {
    Labelled result;
    result.labels_.assign(labels.begin(), labels.end());
    result.group_ = group_;
    result.counts_ = Eigen::MatrixXd::Zero(2, n_groups_);
    MatrixD sums[2] = {MatrixD::Zero(n_groups_, unit_.cols()), MatrixD::Zero(n_groups_, unit_.cols())};
    for (Eigen::Index i = 0; i < unit_.rows(); ++i) {
        const auto at = static_cast<std::size_t>(i);
        sums[labels[at]].row(group_[at]) += unit_.row(i).cast<double>();
        result.counts_(labels[at], group_[at]) += 1;
    }
    for (int label = 0; label < 2; ++label)
        result.products_[label] = unit_ * sums[label].cast<float>().transpose();
    return result;
}

double CosineSilhouette::Labelled::value(std::span<const double> weights) const {
    const auto w = Eigen::Map<const VectorD>(weights.data(), counts_.cols());
    const Eigen::Vector2d count = counts_ * w;
    if (count[0] < 2 || count[1] < 2) return kNoNumber;
    const Vector float_weights = w.cast<float>();
    const Vector sums[2] = {products_[0] * float_weights, products_[1] * float_weights};
    double sum = 0;
    for (std::size_t i = 0; i < labels_.size(); ++i) {
        const double weight = w[group_[i]];
        if (weight == 0) continue;
        const int own = labels_[i], other = 1 - own;
        const auto row = static_cast<Eigen::Index>(i);
        sum += weight * row_silhouette((count[own] - sums[own][row]) / (count[own] - 1),
                                       1 - sums[other][row] / count[other]);
    }
    return sum / count.sum();
}

double CosineSilhouette::value(std::span<const std::int8_t> labels) const {
    Eigen::RowVectorXd sums[2] = {Eigen::RowVectorXd::Zero(unit_.cols()),
                                  Eigen::RowVectorXd::Zero(unit_.cols())};
    double count[2] = {0, 0};
    for (Eigen::Index i = 0; i < unit_.rows(); ++i) {
        const int label = labels[static_cast<std::size_t>(i)];
        sums[label] += unit_.row(i).cast<double>();
        ++count[label];
    }
    if (count[0] < 2 || count[1] < 2) return kNoNumber;
    double sum = 0;
    for (Eigen::Index i = 0; i < unit_.rows(); ++i) {
        const int own = labels[static_cast<std::size_t>(i)], other = 1 - own;
        const Eigen::RowVectorXd row = unit_.row(i).cast<double>();
        sum += row_silhouette((count[own] - row.dot(sums[own])) / (count[own] - 1),
                              1 - row.dot(sums[other]) / count[other]);
    }
    return sum / (count[0] + count[1]);
}

}  // namespace tomograph
