#include "tomograph/statistics/cka.h"

#include <algorithm>
#include <cmath>

#include "tomograph/base/threads.h"
#include "tomograph/statistics/solvers.h"
#include "tomograph/statistics/statistics.h"

namespace tomograph {
namespace {

MatrixD centred(const Matrix& x) {
    MatrixD rows = x.cast<double>();
    rows.rowwise() -= rows.colwise().mean().eval();
    return rows;
}

/// The unbiased estimate of HSIC from Gram matrices K and L without their diagonals: the sum of the products
/// of their entries, their own sums, and the product of their rows' sums. n > 3.
double unbiased(double n, double product, double sum_k, double sum_l, double paths) {
    return (product + sum_k * sum_l / ((n - 1) * (n - 2)) - 2 * paths / (n - 2)) / (n * (n - 3));
}

/// What rounding may leave of an alignment of rows of these squared norms that should be 0.
double rounding(const VectorD& squares) {
    return 1e-12 * squares.mean() * squares.mean();
}

}  // namespace

double linear_cka(const Matrix& x, const Matrix& y) {
    const MatrixD a = centred(x), b = centred(y);
    const auto n = static_cast<double>(a.rows());
    if (a.rows() < 4) return kNoNumber;
    const bool wide = a.rows() < std::max(a.cols(), b.cols());
    MatrixD k, l;  // Gram matrices without their diagonals, where they are the smaller way
    if (wide) {
        k = a * a.transpose();
        l = b * b.transpose();
        k.diagonal().setZero();
        l.diagonal().setZero();
    }
    const VectorD own_a = a.rowwise().squaredNorm(), own_b = b.rowwise().squaredNorm();
    const VectorD sums_a =
        wide ? VectorD(k.rowwise().sum()) : VectorD(a * a.colwise().sum().transpose() - own_a);
    const VectorD sums_b =
        wide ? VectorD(l.rowwise().sum()) : VectorD(b * b.colwise().sum().transpose() - own_b);
    const auto alignment = [&](const MatrixD& p, const MatrixD& gram_p, const VectorD& own_p,
                               const VectorD& sums_p, const MatrixD& q, const MatrixD& gram_q,
                               const VectorD& own_q, const VectorD& sums_q) {
        const double product =
            wide ? gram_p.cwiseProduct(gram_q).sum() : (p.transpose() * q).squaredNorm() - own_p.dot(own_q);
        return unbiased(n, product, sums_p.sum(), sums_q.sum(), sums_p.dot(sums_q));
    };
    const double cross = alignment(a, k, own_a, sums_a, b, l, own_b, sums_b);
    const double self_a = alignment(a, k, own_a, sums_a, a, k, own_a, sums_a);
    const double self_b = alignment(b, l, own_b, sums_b, b, l, own_b, sums_b);
    const double least_a = rounding(own_a), least_b = rounding(own_b);
    return self_a > least_a && self_b > least_b ? cross / std::sqrt(self_a * self_b) : kNoNumber;
}

namespace {

/// How many neighbouring values say about as much as one: 1 + 2 times the sum of their autocorrelation up to
/// its first zero.
double correlation_length(std::span<const double> values) {
    const auto n = static_cast<Eigen::Index>(values.size());
    Eigen::VectorXd centred = Eigen::Map<const Eigen::VectorXd>(values.data(), n);
    centred.array() -= centred.mean();
    const double power = centred.squaredNorm();
    double length = 1;
    for (Eigen::Index lag = 1; lag < n && power > 0; ++lag) {
        const double alike = centred.head(n - lag).dot(centred.tail(n - lag)) / power;
        if (alike <= 0) break;
        length += 2 * alike;
    }
    return length;
}

}  // namespace

ShiftedCka shifted_cka(const Matrix& x, const Matrix& y, int threads) {
    ShiftedCka result;
    result.value = linear_cka(x, y);
    const Eigen::Index n = x.rows(), first = n / 8, count = 7 * n / 8 - first + 1;
    if (std::isnan(result.value) || n < 16) return result;
    std::vector<double> values(static_cast<std::size_t>(count));
    parallel_for(count, threads, [&](std::int64_t s) {
        Matrix shifted(y.rows(), y.cols());
        const Eigen::Index by = first + s;
        shifted.topRows(n - by) = y.bottomRows(n - by);
        shifted.bottomRows(by) = y.topRows(by);
        values[static_cast<std::size_t>(s)] = linear_cka(x, shifted);
    });
    result.shifted = quantile(values, 0.975);
    const auto as_high = std::ranges::count_if(values, [&](double v) { return v >= result.value; });
    const double alike = correlation_length(values);
    result.p = (1 + static_cast<double>(as_high) / alike) / (1 + static_cast<double>(count) / alike);
    return result;
}

CkaTable::CkaTable(std::span<const Matrix> layers, std::span<const std::int32_t> group, int n_groups,
                   int threads)
    : n_groups_(n_groups),
      n_layers_(static_cast<Eigen::Index>(layers.size())),
      begin_(static_cast<std::size_t>(n_groups) + 1, 0),
      products_(static_cast<std::size_t>(n_groups) * static_cast<std::size_t>(n_groups)) {
    std::vector<Eigen::RowVectorXf> means;
    // Dividing by the root mean square keeps the products of the Gram matrices within float32's range.
    std::vector<float> scales;
    for (const Matrix& layer : layers) {
        const Eigen::RowVectorXd mean = layer.cast<double>().colwise().mean();
        means.push_back(mean.cast<float>());
        double squares = 0;
        for (Eigen::Index i = 0; i < layer.rows(); ++i)
            squares += (layer.row(i).cast<double>() - mean).squaredNorm();
        scales.push_back(
            squares > 0 ? static_cast<float>(std::sqrt(static_cast<double>(layer.rows()) / squares)) : 0.0f);
        row_sums_.push_back(Matrix::Zero(layer.rows(), n_groups));
    }
    for (const std::int32_t g : group) ++begin_[static_cast<std::size_t>(g) + 1];
    for (std::size_t g = 1; g < begin_.size(); ++g) begin_[g] += begin_[g - 1];
    parallel_for(static_cast<std::int64_t>(products_.size()), threads, [&](std::int64_t pair) {
        const auto s = static_cast<std::size_t>(pair / n_groups),
                   t = static_cast<std::size_t>(pair % n_groups);
        if (s > t) return;
        const Eigen::Index n_s = begin_[s + 1] - begin_[s], n_t = begin_[t + 1] - begin_[t];
        Matrix grams(n_layers_, n_s * n_t);
        for (Eigen::Index l = 0; l < n_layers_; ++l) {
            const auto i = static_cast<std::size_t>(l);
            const Matrix a = (layers[i].middleRows(begin_[s], n_s).rowwise() - means[i]) * scales[i];
            const Matrix b = (layers[i].middleRows(begin_[t], n_t).rowwise() - means[i]) * scales[i];
            Eigen::Map<Matrix> gram(grams.row(l).data(), n_s, n_t);
            gram.noalias() = a * b.transpose();
            if (s == t) gram.diagonal().setZero();
            // Each pair of groups writes places of its own.
            row_sums_[i].col(static_cast<Eigen::Index>(t)).segment(begin_[s], n_s) = gram.rowwise().sum();
            if (s != t)
                row_sums_[i].col(static_cast<Eigen::Index>(s)).segment(begin_[t], n_t) =
                    gram.colwise().sum().transpose();
        }
        MatrixD sum = MatrixD::Zero(n_layers_, n_layers_);
        constexpr Eigen::Index kBlock = 4096;  // of float32 additions before one in float64
        for (Eigen::Index at = 0; at < grams.cols(); at += kBlock) {
            const auto block = grams.middleCols(at, std::min(kBlock, grams.cols() - at));
            sum += Matrix(block * block.transpose()).cast<double>();
        }
        products_[static_cast<std::size_t>(pair)] = std::move(sum);
    });
}

MatrixD CkaTable::cka(std::span<const double> weights) const {
    VectorD w = VectorD::Ones(n_groups_);
    if (!weights.empty()) w = Eigen::Map<const VectorD>(weights.data(), n_groups_);
    MatrixD products = MatrixD::Zero(n_layers_, n_layers_);
    double n = 0;
    for (int s = 0; s < n_groups_; ++s) {
        n += w[s] * static_cast<double>(begin_[static_cast<std::size_t>(s) + 1] -
                                        begin_[static_cast<std::size_t>(s)]);
        for (int t = s; t < n_groups_; ++t) {
            if (const double weight = w[s] * w[t]; weight != 0)
                products +=
                    (s == t ? weight : 2 * weight) * products_[static_cast<std::size_t>(s * n_groups_ + t)];
        }
    }
    const Eigen::Index n_rows = begin_.back();
    VectorD by_row(n_rows);
    for (int g = 0; g < n_groups_; ++g) {
        const auto i = static_cast<std::size_t>(g);
        by_row.segment(begin_[i], begin_[i + 1] - begin_[i]).setConstant(w[g]);
    }
    MatrixD sums(n_rows, n_layers_);
    for (Eigen::Index l = 0; l < n_layers_; ++l)
        sums.col(l) = row_sums_[static_cast<std::size_t>(l)].cast<double>() * w;
    const MatrixD paths =
        sums.transpose() * by_row.asDiagonal() * sums;  // [L, L] over two pairs that share a row
    const VectorD totals = sums.transpose() * by_row;
    MatrixD result = MatrixD::Constant(n_layers_, n_layers_, kNoNumber);
    if (n < 4) return result;
    const auto alignment = [&](Eigen::Index i, Eigen::Index j) {
        return unbiased(n, products(i, j), totals[i], totals[j], paths(i, j));
    };
    // Rows have a mean square of 1.
    constexpr double kRounding = 1e-6;
    for (Eigen::Index i = 0; i < n_layers_; ++i) {
        for (Eigen::Index j = 0; j < n_layers_; ++j) {
            const double own_i = alignment(i, i), own_j = alignment(j, j);
            if (own_i > kRounding && own_j > kRounding)
                result(i, j) = alignment(i, j) / std::sqrt(own_i * own_j);
        }
    }
    return result;
}

double procrustes_distance(const Matrix& x, const Matrix& y) {
    MatrixD a = x.cast<double>(), b = y.cast<double>();
    a.rowwise() -= a.colwise().mean().eval();
    b.rowwise() -= b.colwise().mean().eval();
    const double norms = a.norm() * b.norm();
    if (!(norms > 0)) return kNoNumber;
    const Eigen::MatrixXd product = a.transpose() * b / norms;
    return std::max(0.0, 2 - 2 * singular_values(product).sum());
}

}  // namespace tomograph
