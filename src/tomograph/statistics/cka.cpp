#include "tomograph/statistics/cka.h"

#include <Eigen/SVD>
#include <algorithm>
#include <cmath>

#include "tomograph/base/threads.h"
#include "tomograph/statistics/statistics.h"

namespace tomograph {
namespace {

MatrixD centred(const Matrix& x) {
    MatrixD rows = x.cast<double>();
    rows.rowwise() -= rows.colwise().mean().eval();
    return rows;
}

}  // namespace

double linear_cka(const Matrix& x, const Matrix& y) {
    const MatrixD a = centred(x), b = centred(y);
    double cross, own_a, own_b;
    if (a.rows() < std::max(a.cols(), b.cols())) {
        const MatrixD k = a * a.transpose(), l = b * b.transpose();
        cross = k.cwiseProduct(l).sum();
        own_a = k.norm();
        own_b = l.norm();
    } else {
        cross = (b.transpose() * a).squaredNorm();
        own_a = (a.transpose() * a).norm();
        own_b = (b.transpose() * b).norm();
    }
    return own_a > 0 && own_b > 0 ? cross / (own_a * own_b) : kNoNumber;
}

CkaTable::CkaTable(std::span<const Matrix> layers, std::span<const std::int32_t> group, int n_groups,
                   int threads)
    : n_groups_(n_groups),
      products_(static_cast<std::size_t>(n_groups) * static_cast<std::size_t>(n_groups)) {
    const auto n_layers = static_cast<Eigen::Index>(layers.size());
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
    }
    std::vector<Eigen::Index> begin(static_cast<std::size_t>(n_groups) + 1, 0);
    for (const std::int32_t g : group) ++begin[static_cast<std::size_t>(g) + 1];
    for (std::size_t g = 1; g < begin.size(); ++g) begin[g] += begin[g - 1];
    parallel_for(static_cast<std::int64_t>(products_.size()), threads, [&](std::int64_t pair) {
        const auto s = static_cast<std::size_t>(pair / n_groups),
                   t = static_cast<std::size_t>(pair % n_groups);
        if (s > t) return;
        const Eigen::Index n_s = begin[s + 1] - begin[s], n_t = begin[t + 1] - begin[t];
        Matrix grams(n_layers, n_s * n_t);
        for (Eigen::Index l = 0; l < n_layers; ++l) {
            const auto i = static_cast<std::size_t>(l);
            const Matrix a = (layers[i].middleRows(begin[s], n_s).rowwise() - means[i]) * scales[i];
            const Matrix b = (layers[i].middleRows(begin[t], n_t).rowwise() - means[i]) * scales[i];
            Eigen::Map<Matrix>(grams.row(l).data(), n_s, n_t).noalias() = a * b.transpose();
        }
        MatrixD sum = MatrixD::Zero(n_layers, n_layers);
        constexpr Eigen::Index kBlock = 4096;  // of float32 additions before one in float64
        for (Eigen::Index at = 0; at < grams.cols(); at += kBlock) {
            const auto block = grams.middleCols(at, std::min(kBlock, grams.cols() - at));
            sum += Matrix(block * block.transpose()).cast<double>();
        }
        products_[static_cast<std::size_t>(pair)] = std::move(sum);
    });
}

MatrixD CkaTable::cka(std::span<const double> weights) const {
    MatrixD sum = MatrixD::Zero(products_.front().rows(), products_.front().cols());
    for (int s = 0; s < n_groups_; ++s) {
        for (int t = s; t < n_groups_; ++t) {
            const double weight =
                weights.empty() ? 1
                                : weights[static_cast<std::size_t>(s)] * weights[static_cast<std::size_t>(t)];
            if (weight != 0)
                sum +=
                    (s == t ? weight : 2 * weight) * products_[static_cast<std::size_t>(s * n_groups_ + t)];
        }
    }
    MatrixD result(sum.rows(), sum.cols());
    for (Eigen::Index i = 0; i < sum.rows(); ++i) {
        for (Eigen::Index j = 0; j < sum.cols(); ++j) {
            const double own = std::sqrt(sum(i, i) * sum(j, j));
            result(i, j) = own > 0 ? sum(i, j) / own : kNoNumber;
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
    return std::max(0.0, 2 - 2 * Eigen::BDCSVD<Eigen::MatrixXd>(product).singularValues().sum());
}

}  // namespace tomograph
