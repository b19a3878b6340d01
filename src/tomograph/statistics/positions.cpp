#include "tomograph/statistics/positions.h"

#include <algorithm>

#include "tomograph/base/random.h"
#include "tomograph/statistics/solvers.h"
#include "tomograph/statistics/statistics.h"

namespace tomograph {

PositionTable::PositionTable(int n_groups, std::int64_t n_positions, std::int64_t dim)
    : n_positions_(n_positions),
      sums_(static_cast<std::size_t>(n_groups), Matrix::Zero(n_positions, dim)),
      totals_(MatrixD::Zero(n_groups, dim)),
      squares_(VectorD::Zero(n_groups)),
      within_(VectorD::Zero(n_groups)),
      counts_(VectorD::Zero(n_groups)) {}

void PositionTable::add(int group, const Matrix& sequence) {
    sums_[static_cast<std::size_t>(group)] += sequence;
    const Eigen::RowVectorXd total = sequence.cast<double>().colwise().sum();
    const double squares = sequence.cast<double>().squaredNorm();
    totals_.row(group) += total;
    squares_[group] += squares;
    within_[group] += squares - total.squaredNorm() / static_cast<double>(n_positions_);
    counts_[group] += 1;
}

void PositionTable::add(const PositionTable& other) {
    for (std::size_t g = 0; g < sums_.size(); ++g) sums_[g] += other.sums_[g];
    totals_ += other.totals_;
    squares_ += other.squares_;
    within_ += other.within_;
    if (counts_.sum() == 0) counts_ = other.counts_;
}

void PositionTable::finish() {
    const auto n = static_cast<Eigen::Index>(sums_.size());
    by_position_.setZero(n, n);
    for (Eigen::Index g = 0; g < n; ++g) {
        for (Eigen::Index h = g; h < n; ++h) {
            double sum = 0;
            for (Eigen::Index p = 0; p < sums_[0].rows(); ++p) {
                sum += sums_[static_cast<std::size_t>(g)].row(p).cast<double>().dot(
                    sums_[static_cast<std::size_t>(h)].row(p).cast<double>());
            }
            by_position_(g, h) = by_position_(h, g) = sum;
        }
    }
    overall_ = totals_ * totals_.transpose();
}

double PositionTable::eta2(std::span<const double> weights) const {
    VectorD w = VectorD::Ones(counts_.size());
    if (!weights.empty()) w = Eigen::Map<const VectorD>(weights.data(), counts_.size());
    const double n = w.dot(counts_), mean = w.dot(overall_ * w) / (n * static_cast<double>(n_positions_));
    const double total = w.dot(squares_) - mean;
    return n > 0 && total > 0 ? (w.dot(by_position_ * w) / n - mean) / total : kNoNumber;
}

double PositionTable::shuffled_eta2() const {
    const double n = counts_.sum();
    const double total = squares_.sum() - overall_.sum() / (n * static_cast<double>(n_positions_));
    return n > 0 && total > 0 ? within_.sum() / total / n : kNoNumber;
}

double PositionTable::shared(std::span<const double> weights) const {
    VectorD w = VectorD::Ones(counts_.size());
    if (!weights.empty()) w = Eigen::Map<const VectorD>(weights.data(), counts_.size());
    const double n = w.dot(counts_), positions = static_cast<double>(n_positions_);
    const double total = (w.dot(squares_) - w.dot(overall_ * w) / (n * positions)) / n;  // of one sequence
    MatrixD products = by_position_ - overall_ / positions;
    products.diagonal().setZero();
    const VectorD wn = w.cwiseProduct(counts_);
    const double pairs = wn.sum() * wn.sum() - wn.squaredNorm();
    return pairs > 0 && total > 0 ? w.dot(products * w) / pairs / total : kNoNumber;
}

PositionTable::Split PositionTable::split(std::span<const double> weights) const {
    VectorD w = VectorD::Ones(counts_.size());
    if (!weights.empty()) w = Eigen::Map<const VectorD>(weights.data(), counts_.size());
    const double n = w.dot(counts_), positions = static_cast<double>(n_positions_);
    const VectorD wn = w.cwiseProduct(counts_);
    const double pairs = wn.sum() * wn.sum() - wn.squaredNorm(), squares = w.dot(squares_);
    if (!(pairs > 0 && squares > 0 && n_positions_ > 1)) return {kNoNumber, kNoNumber, kNoNumber, kNoNumber};
    const auto between = [&](const MatrixD& products) {
        return (w.dot(products * w) - w.cwiseAbs2().dot(products.diagonal())) / pairs;
    };
    // Rows of different sequences, at the same position and at any two.
    const double same = between(by_position_) / positions, any = between(overall_) / (positions * positions);
    const double apart = (positions * any - same) / (positions - 1);  // at two different positions
    // Rows of one sequence at two different positions.
    const double totals = positions * (squares - w.dot(within_));  // squared norms of the sequences' sums
    const double together = (totals - squares) / (n * positions * (positions - 1));
    const double row = squares / (n * positions);
    Split split{any / row, (same - any) / row, (together - apart) / row, 0};
    split.residual = 1 - split.mean - split.position - split.context;
    return split;
}

Matrix PositionTable::means() const {
    MatrixD sum = MatrixD::Zero(sums_[0].rows(), sums_[0].cols());
    for (const Matrix& part : sums_) sum += part.cast<double>();
    return (sum / n_sequences()).cast<float>();
}

std::vector<MatrixD> PositionTable::project(const Matrix& basis) const {
    std::vector<MatrixD> parts;
    const MatrixD columns = basis.cast<double>().transpose() / n_sequences();
    for (const Matrix& part : sums_) parts.push_back(part.cast<double>() * columns);
    return parts;
}

MatrixD thin_curve(const MatrixD& curve, std::int64_t most) {
    const Eigen::Index step = (curve.rows() + most - 1) / most;
    if (step <= 1) return curve;
    MatrixD thin(curve.rows() / step, curve.cols());
    for (Eigen::Index i = 0; i < thin.rows(); ++i)
        thin.row(i) = curve.middleRows(i * step, step).colwise().mean();
    return thin;
}

MatrixD shuffled_steps(const MatrixD& curve, std::uint64_t seed) {
    const auto order = permutation(curve.rows() - 1, mix(seed, 0x57e9));
    MatrixD walk(curve.rows(), curve.cols());
    walk.row(0) = curve.row(0);
    for (Eigen::Index i = 1; i < curve.rows(); ++i) {
        const auto step = static_cast<Eigen::Index>(order[static_cast<std::size_t>(i - 1)]);
        walk.row(i) = walk.row(i - 1) + curve.row(step + 1) - curve.row(step);
    }
    return walk;
}

MatrixD shuffled_points(const MatrixD& curve, std::uint64_t seed) {
    const auto order = permutation(curve.rows(), mix(seed, 0x907));
    MatrixD shuffled(curve.rows(), curve.cols());
    for (Eigen::Index i = 0; i < curve.rows(); ++i)
        shuffled.row(i) = curve.row(static_cast<Eigen::Index>(order[static_cast<std::size_t>(i)]));
    return shuffled;
}

MatrixD principal_axes(const MatrixD& curve) {
    MatrixD centred = curve;
    centred.rowwise() -= centred.colwise().mean().eval();
    return symmetric_eigen(centred.transpose() * centred).vectors.rowwise().reverse();
}

MatrixD principal_scores(const MatrixD& curve) {
    return (curve.rowwise() - curve.colwise().mean().eval()) * principal_axes(curve);
}

}  // namespace tomograph
