#include "tomograph/statistics/components.h"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>

#include "tomograph/statistics/probe.h"
#include "tomograph/statistics/statistics.h"

namespace tomograph {
namespace {

std::vector<std::vector<Eigen::Index>> rows_by_group(std::span<const std::int32_t> group, int n_groups) {
    std::vector<std::vector<Eigen::Index>> rows(static_cast<std::size_t>(n_groups));
    for (std::size_t i = 0; i < group.size(); ++i)
        rows[static_cast<std::size_t>(group[i])].push_back(static_cast<Eigen::Index>(i));
    return rows;
}

/// Rows in the order of their groups, and the groups' first rows.
struct Sorted {
    Matrix rows;
    std::vector<Eigen::Index> begin;
};
Sorted sorted(const Matrix& x, std::span<const std::int32_t> group, int n_groups, bool centre) {
    Sorted result{Matrix(x.rows(), x.cols()), {0}};
    Eigen::Index at = 0;
    for (const auto& rows : rows_by_group(group, n_groups)) {
        for (const Eigen::Index row : rows) result.rows.row(at++) = x.row(row);
        result.begin.push_back(at);
    }
    if (centre && x.rows() > 0)
        result.rows.rowwise() -= x.cast<double>().colwise().mean().cast<float>().eval();
    return result;
}

/// Sums of squared products of rows, by pairs of groups.
MatrixD squared_products(const Sorted& a, const Sorted& b) {
    const auto n = static_cast<Eigen::Index>(a.begin.size()) - 1;
    MatrixD sums = MatrixD::Zero(n, n);
    for (Eigen::Index g = 0; g < n; ++g) {
        const auto i = static_cast<std::size_t>(g);
        const Matrix products =
            a.rows.middleRows(a.begin[i], a.begin[i + 1] - a.begin[i]) * b.rows.transpose();
        for (Eigen::Index h = 0; h < n; ++h) {
            const auto j = static_cast<std::size_t>(h);
            sums(g, h) =
                products.middleCols(b.begin[j], b.begin[j + 1] - b.begin[j]).cast<double>().squaredNorm();
        }
    }
    return sums;
}

VectorD by_group(const Sorted& x, bool squares) {
    VectorD values(static_cast<Eigen::Index>(x.begin.size()) - 1);
    for (Eigen::Index g = 0; g < values.size(); ++g) {
        const auto i = static_cast<std::size_t>(g);
        const Eigen::Index n = x.begin[i + 1] - x.begin[i];
        values[g] =
            squares ? x.rows.middleRows(x.begin[i], n).cast<double>().squaredNorm() : static_cast<double>(n);
    }
    return values;
}

/// Products of the groups' sums.
MatrixD sum_products(const Sorted& a, const Sorted& b) {
    const auto n = static_cast<Eigen::Index>(a.begin.size()) - 1;
    MatrixD sums[2];
    for (int side = 0; side < 2; ++side) {
        const Sorted& x = side == 0 ? a : b;
        sums[side] = MatrixD::Zero(n, x.rows.cols());
        for (Eigen::Index g = 0; g < n; ++g) {
            const auto i = static_cast<std::size_t>(g);
            sums[side].row(g) =
                x.rows.middleRows(x.begin[i], x.begin[i + 1] - x.begin[i]).cast<double>().colwise().sum();
        }
    }
    return sums[0] * sums[1].transpose();
}

/// Sum over pairs of different groups.
double between(const MatrixD& squares, const VectorD& w) {
    return w.dot(squares * w) - w.cwiseAbs2().dot(squares.diagonal());
}

VectorD weights_or_ones(std::span<const double> weights, Eigen::Index n) {
    if (weights.empty()) return VectorD::Ones(n);
    return Eigen::Map<const VectorD>(weights.data(), n);
}

std::span<const double> slice(std::span<const double> curve, bool middle) {
    const std::size_t n = curve.size(), quarter = std::max<std::size_t>(1, n / 4);
    return middle ? curve.subspan(quarter, std::max<std::size_t>(1, n - 2 * quarter)) : curve.first(quarter);
}

double mean_of_span(std::span<const double> values) {
    double sum = 0;
    for (const double value : values) sum += value;
    return sum / static_cast<double>(values.size());
}

}  // namespace

SharedSpread::SharedSpread(const Matrix& a, std::span<const std::int32_t> group_a, const Matrix& b,
                           std::span<const std::int32_t> group_b, int n_groups, bool centre)
    : d_(static_cast<double>(a.cols())) {
    const Sorted sides[2] = {sorted(a, group_a, n_groups, centre), sorted(b, group_b, n_groups, centre)};
    squares_ = squared_products(sides[0], sides[1]);
    products_ = MatrixD::Zero(n_groups, n_groups);
    if (centre) products_ = sum_products(sides[0], sides[1]);
    const VectorD ones = VectorD::Ones(n_groups);
    for (int side = 0; side < 2; ++side) {
        count_[side] = by_group(sides[side], false);
        spread_[side] = by_group(sides[side], true);
        const double pairs = count_[side].sum() * count_[side].sum() - count_[side].squaredNorm();
        const double product = centre ? between(sum_products(sides[side], sides[side]), ones) / pairs : 0;
        const double square =
            between(squared_products(sides[side], sides[side]), ones) / pairs - product * product;
        const double trace = spread_[side].sum() / count_[side].sum();
        participation_[side] = pairs > 0 && square > 0 ? trace * trace / square : kNoNumber;
    }
}

double SharedSpread::mean_square_product(std::span<const double> weights) const {
    const VectorD w = weights_or_ones(weights, count_[0].size());
    const VectorD a = w.cwiseProduct(count_[0]), b = w.cwiseProduct(count_[1]);
    const double pairs = a.sum() * b.sum() - a.dot(b);
    // Rows that are centred on their own mean are a little opposed to each other, by all of their spread over
    // n.
    const double product = between(products_, w) / pairs;
    return pairs > 0 ? between(squares_, w) / pairs - product * product : kNoNumber;
}

double SharedSpread::overlap(std::span<const double> weights) const {
    const VectorD w = weights_or_ones(weights, count_[0].size());
    const double traces = w.dot(spread_[0]) / w.dot(count_[0]) * (w.dot(spread_[1]) / w.dot(count_[1]));
    return traces > 0 ? d_ * mean_square_product(weights) / traces : kNoNumber;
}

double SharedSpread::random_deviation() const {
    const double a = std::max(0.0, d_ / participation_[0] - 1), b = std::max(0.0, d_ / participation_[1] - 1);
    return d_ > 1 ? std::sqrt(2 * a * b / ((d_ - 1) * (d_ + 2))) : kNoNumber;
}

double SharedSpread::rms_product(std::span<const double> weights) const {
    return std::sqrt(mean_square_product(weights));
}

PairedCosine::PairedCosine(const Matrix& a, const Matrix& b, std::span<const std::int32_t> group,
                           int n_groups)
    : squares_(VectorD::Zero(n_groups)), count_(VectorD::Zero(n_groups)) {
    for (Eigen::Index i = 0; i < a.rows(); ++i) {
        const double norms = a.row(i).cast<double>().norm() * b.row(i).cast<double>().norm();
        if (!(norms > 0)) continue;
        const double cosine = a.row(i).cast<double>().dot(b.row(i).cast<double>()) / norms;
        squares_[group[static_cast<std::size_t>(i)]] += cosine * cosine;
        count_[group[static_cast<std::size_t>(i)]] += 1;
    }
}

double PairedCosine::rms(std::span<const double> weights) const {
    const VectorD w = weights_or_ones(weights, count_.size());
    const double n = w.dot(count_);
    return n > 0 ? std::sqrt(w.dot(squares_) / n) : kNoNumber;
}

TwoWayShares two_way_shares(const MatrixD& sums, int rows, int columns, double count, double squares) {
    TwoWayShares shares{kNoNumber, kNoNumber, kNoNumber, kNoNumber};
    const double r = rows, c = columns, n = r * c * count;
    MatrixD by_row = MatrixD::Zero(rows, sums.cols()), by_column = MatrixD::Zero(columns, sums.cols());
    for (int i = 0; i < rows; ++i) {
        for (int j = 0; j < columns; ++j) {
            by_row.row(i) += sums.row(i * columns + j);
            by_column.row(j) += sums.row(i * columns + j);
        }
    }
    const double grand = by_row.colwise().sum().squaredNorm() / n;
    const double of_rows = by_row.squaredNorm() / (c * count) - grand;
    const double of_columns = by_column.squaredNorm() / (r * count) - grand;
    const double of_cells = sums.squaredNorm() / count - grand - of_rows - of_columns;
    const double total = squares - grand, rest = total - of_rows - of_columns - of_cells;
    const double freedom = n - r * c;
    if (!(total > 0) || freedom <= 0) return shares;
    const double noise = rest / freedom;  // of one degree of freedom
    shares.row = (of_rows - (r - 1) * noise) / (total + noise);
    shares.column = (of_columns - (c - 1) * noise) / (total + noise);
    shares.interaction = (of_cells - (r - 1) * (c - 1) * noise) / (total + noise);
    shares.residual = 1 - shares.row - shares.column - shares.interaction;
    return shares;
}

std::vector<double> left_out_layers_probe(std::span<const Matrix> a, std::span<const Matrix> b,
                                          std::span<const std::int32_t> fold, double alpha) {
    if (a.size() < 2 || fold.empty()) return {};
    const int n_folds = *std::max_element(fold.begin(), fold.end()) + 1;
    if (n_folds < 2) return {};
    const Eigen::Index n = a[0].rows(), d = a[0].cols();
    std::vector<Vector> decisions(a.size(), Vector(2 * n));
    for (std::size_t parity = 0; parity < 2; ++parity) {
        // Sums by fold of the layers that are fitted.
        struct Sums {
            MatrixD moments;
            VectorD sum, product;
            double n = 0;
        };
        std::vector<Sums> folds(static_cast<std::size_t>(n_folds),
                                Sums{MatrixD::Zero(d, d), VectorD::Zero(d), VectorD::Zero(d)});
        const auto rows = rows_by_group(fold, n_folds);
        for (std::size_t l = parity; l < a.size(); l += 2) {
            for (std::size_t f = 0; f < folds.size(); ++f) {
                for (const auto* side : {&a[l], &b[l]}) {
                    Matrix part(static_cast<Eigen::Index>(rows[f].size()), d);
                    for (Eigen::Index i = 0; i < part.rows(); ++i)
                        part.row(i) = side->row(rows[f][static_cast<std::size_t>(i)]);
                    const VectorD sum = part.cast<double>().colwise().sum().transpose();
                    folds[f].moments += Matrix(part.transpose() * part).cast<double>();
                    folds[f].sum += sum;
                    folds[f].product += (side == &a[l] ? 1 : -1) * sum;
                    folds[f].n += static_cast<double>(part.rows());
                }
            }
        }
        for (std::size_t out = 0; out < folds.size(); ++out) {
            Sums all{MatrixD::Zero(d, d), VectorD::Zero(d), VectorD::Zero(d)};
            for (std::size_t f = 0; f < folds.size(); ++f) {
                if (f == out) continue;
                all.moments += folds[f].moments;
                all.sum += folds[f].sum;
                all.product += folds[f].product;
                all.n += folds[f].n;
            }
            // Both classes have as many rows: the mean label is 0.
            const VectorD mean = all.sum / std::max(all.n, 1.0);
            MatrixD penalised = all.moments - all.n * mean * mean.transpose();
            penalised.diagonal().array() += alpha;
            const VectorD direction = Eigen::LLT<Eigen::MatrixXd>(penalised).solve(all.product);
            const double intercept = -mean.dot(direction);
            for (std::size_t l = 1 - parity; l < a.size(); l += 2) {
                for (const Eigen::Index row : rows[out]) {
                    decisions[l][row] =
                        static_cast<float>(a[l].row(row).cast<double>().dot(direction) + intercept);
                    decisions[l][n + row] =
                        static_cast<float>(b[l].row(row).cast<double>().dot(direction) + intercept);
                }
            }
        }
    }
    Vector labels(2 * n);
    labels << Vector::Ones(n), -Vector::Ones(n);
    std::vector<double> accuracy;
    for (const Vector& of : decisions) accuracy.push_back(balanced_accuracy(of, labels));
    return accuracy;
}

double middle_less_first(std::span<const double> by_layer) {
    if (by_layer.size() < 3) return kNoNumber;
    return mean_of_span(slice(by_layer, true)) - mean_of_span(slice(by_layer, false));
}

int first_at_half(std::span<const double> by_layer) {
    double most = 0;
    for (const double value : by_layer) most = std::max(most, value);
    if (!(most > 0)) return -1;
    for (std::size_t l = 0; l < by_layer.size(); ++l)
        if (by_layer[l] >= 0.5 * most) return static_cast<int>(l);
    return -1;
}

SpreadTighten spread_then_tighten(std::span<const double> by_layer) {
    SpreadTighten result{kNoNumber, kNoNumber, -1};
    if (by_layer.size() < 3) return result;
    double middle = 0;
    const auto part = slice(by_layer, true);
    for (const double value : part) middle += std::log(value);
    middle /= static_cast<double>(part.size());
    result.rise = middle - std::log(by_layer.front());
    result.fall = std::log(by_layer.back()) - middle;
    result.peak = static_cast<int>(std::max_element(by_layer.begin(), by_layer.end()) - by_layer.begin());
    return result;
}

}  // namespace tomograph
