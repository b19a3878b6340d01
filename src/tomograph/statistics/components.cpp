#include "tomograph/statistics/components.h"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>

#include "tomograph/base/random.h"
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

LeftOutLayersProbe::LeftOutLayersProbe(std::span<const Matrix> a, std::span<const Matrix> b,
                                       std::span<const std::int32_t> group, int n_groups, int n_folds,
                                       int shuffles, std::uint64_t seed, double alpha)
    : group_(group),
      count_(VectorD::Zero(n_groups)),
      hits_(MatrixD::Zero(n_groups, static_cast<Eigen::Index>(a.size()))),
      shuffled_hits_(VectorD::Zero(shuffles)) {
    if (a.size() < 2 || n_groups < 2 || n_folds < 2) return;
    const Eigen::Index n = a[0].rows();
    std::vector<std::vector<Eigen::Index>> rows(static_cast<std::size_t>(n_folds));
    Matrix signs(n, 1 + shuffles);
    Rng rng(mix(seed, 0x1e7a));
    for (Eigen::Index i = 0; i < n; ++i) {
        const std::int32_t g = group[static_cast<std::size_t>(i)];
        rows[static_cast<std::size_t>(g % n_folds)].push_back(i);
        count_[g] += 2;
        signs(i, 0) = 1;
        for (Eigen::Index s = 1; s <= shuffles; ++s) signs(i, s) = (rng() & 1) != 0 ? 1.0f : -1.0f;
    }
    for (const std::size_t parity : {std::size_t{0}, std::size_t{1}}) decide(a, b, parity, rows, signs, alpha);
}

void LeftOutLayersProbe::decide(std::span<const Matrix> a, std::span<const Matrix> b, std::size_t parity,
                                const std::vector<std::vector<Eigen::Index>>& rows, const Matrix& signs,
                                double alpha) {
    const Eigen::Index d = a[0].cols(), m = signs.cols();
    const auto part_of = [](const Matrix& of, const std::vector<Eigen::Index>& chosen) {
        Matrix part(static_cast<Eigen::Index>(chosen.size()), of.cols());
        for (Eigen::Index i = 0; i < part.rows(); ++i)
            part.row(i) = of.row(chosen[static_cast<std::size_t>(i)]);
        return part;
    };
    // Sums by fold over the layers that are fitted.
    struct Sums {
        Matrix moments;
        VectorD sum;
        MatrixD product;  // [d, m] rows with the label of each probe
        double n = 0;
    };
    std::vector<Sums> folds(rows.size(), Sums{Matrix::Zero(d, d), VectorD::Zero(d), MatrixD::Zero(d, m)});
    for (std::size_t f = 0; f < folds.size(); ++f) {
        const Matrix labels = part_of(signs, rows[f]);
        for (std::size_t l = parity; l < a.size(); l += 2) {
            const Matrix of_a = part_of(a[l], rows[f]), of_b = part_of(b[l], rows[f]);
            folds[f].moments += of_a.transpose() * of_a + of_b.transpose() * of_b;
            folds[f].sum += (of_a + of_b).cast<double>().colwise().sum().transpose();
            folds[f].product += (of_a - of_b).transpose().cast<double>() * labels.cast<double>();
            folds[f].n += 2 * static_cast<double>(of_a.rows());
        }
    }
    for (std::size_t out = 0; out < folds.size(); ++out) {
        Eigen::MatrixXd moments = Eigen::MatrixXd::Zero(d, d);
        VectorD mean = VectorD::Zero(d);
        MatrixD products = MatrixD::Zero(d, m);
        double n = 0;
        for (std::size_t f = 0; f < folds.size(); ++f) {
            if (f == out) continue;
            moments += folds[f].moments.cast<double>();
            mean += folds[f].sum;
            products += folds[f].product;
            n += folds[f].n;
        }
        // Both classes have as many rows: the mean label is 0.
        mean /= std::max(n, 1.0);
        moments -= n * mean * mean.transpose();
        moments.diagonal().array() += alpha;
        const Eigen::LLT<Eigen::Ref<Eigen::MatrixXd>> solver(moments);
        const MatrixD directions = solver.solve(products);
        const Eigen::RowVectorXd intercepts = -mean.transpose() * directions;
        for (std::size_t l = 1 - parity; l < a.size(); l += 2) {
            for (const int side : {1, -1}) {
                const MatrixD of = part_of(side > 0 ? a[l] : b[l], rows[out]).cast<double>();
                const MatrixD decisions = (of * directions).rowwise() + intercepts;
                for (Eigen::Index i = 0; i < of.rows(); ++i) {
                    const Eigen::Index row = rows[out][static_cast<std::size_t>(i)];
                    const auto hit = [&](Eigen::Index s) {
                        return (decisions(i, s) > 0) == (static_cast<float>(side) * signs(row, s) > 0) ? 1.0
                                                                                                       : 0.0;
                    };
                    hits_(group_[static_cast<std::size_t>(row)], static_cast<Eigen::Index>(l)) += hit(0);
                    for (Eigen::Index s = 1; s < m; ++s) shuffled_hits_[s - 1] += hit(s);
                }
            }
        }
    }
}

double LeftOutLayersProbe::accuracy(std::span<const double> weights) const {
    const VectorD w = weights_or_ones(weights, count_.size());
    const double n = w.dot(count_) * static_cast<double>(hits_.cols());
    return n > 0 ? w.dot(hits_.rowwise().sum()) / n : kNoNumber;
}

std::vector<double> LeftOutLayersProbe::by_layer() const {
    const Eigen::RowVectorXd accuracy = hits_.colwise().sum() / count_.sum();
    return {accuracy.begin(), accuracy.end()};
}

std::vector<double> LeftOutLayersProbe::shuffled() const {
    const VectorD accuracy = shuffled_hits_ / (count_.sum() * static_cast<double>(hits_.cols()));
    return {accuracy.begin(), accuracy.end()};
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
