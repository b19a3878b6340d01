#include "tomograph/statistics/probe.h"

#include <Eigen/Cholesky>
#include <algorithm>

#include "tomograph/linear/moments.h"
#include "tomograph/statistics/statistics.h"

namespace tomograph {
namespace {

/// What a fold adds to a fit: second moments of its rows, and products with the labels.
struct FoldSums {
    Moments moments;
    MatrixD products;         // [d, m] sum of x y
    Eigen::RowVectorXd sums;  // [m] sum of y
};

FoldSums sum_fold(const Matrix& x, const Matrix& labels, const std::vector<Eigen::Index>& rows, int threads) {
    Matrix part(static_cast<Eigen::Index>(rows.size()), x.cols()), part_labels(part.rows(), labels.cols());
    for (Eigen::Index i = 0; i < part.rows(); ++i) {
        part.row(i) = x.row(rows[static_cast<std::size_t>(i)]);
        part_labels.row(i) = labels.row(rows[static_cast<std::size_t>(i)]);
    }
    return {compute_moments(MatrixRows(part), {threads}), (part.transpose() * part_labels).cast<double>(),
            part_labels.cast<double>().colwise().sum()};
}

}  // namespace

Matrix probe_decisions(const Matrix& x, const Matrix& labels, std::span<const std::int32_t> fold,
                       const ProbeOptions& options) {
    const int n_folds = fold.empty() ? 0 : *std::max_element(fold.begin(), fold.end()) + 1;
    std::vector<std::vector<Eigen::Index>> rows(static_cast<std::size_t>(n_folds));
    for (std::size_t i = 0; i < fold.size(); ++i)
        rows[static_cast<std::size_t>(fold[i])].push_back(static_cast<Eigen::Index>(i));
    std::erase_if(rows, [](const auto& r) { return r.empty(); });
    std::vector<FoldSums> folds;
    for (const auto& part : rows) folds.push_back(sum_fold(x, labels, part, options.threads));

    Matrix decisions = Matrix::Constant(x.rows(), labels.cols(), static_cast<float>(kNoNumber));
    if (folds.size() < 2) return decisions;
    for (std::size_t held_out = 0; held_out < folds.size(); ++held_out) {
        Moments moments;
        MatrixD products = MatrixD::Zero(x.cols(), labels.cols());
        Eigen::RowVectorXd sums = Eigen::RowVectorXd::Zero(labels.cols());
        for (std::size_t f = 0; f < folds.size(); ++f) {
            if (f == held_out) continue;
            if (moments.count == 0)
                moments = folds[f].moments;
            else
                merge_moments(moments, folds[f].moments);
            products += folds[f].products;
            sums += folds[f].sums;
        }
        products -= moments.mean * sums;
        MatrixD penalised = std::move(moments.comoment);
        penalised.diagonal().array() += options.alpha;
        const MatrixD weights = Eigen::LLT<Eigen::MatrixXd>(penalised).solve(products);  // [d, m]
        const Eigen::RowVectorXd intercepts =
            sums / static_cast<double>(moments.count) - moments.mean.transpose() * weights;
        const Matrix weights_f = weights.cast<float>();
        const Eigen::RowVectorXf intercepts_f = intercepts.cast<float>();
        for (const Eigen::Index row : rows[held_out])
            decisions.row(row) = x.row(row) * weights_f + intercepts_f;
    }
    return decisions;
}

double balanced_accuracy(const Eigen::Ref<const Vector>& decisions, const Eigen::Ref<const Vector>& labels,
                         std::span<const double> weights) {
    double hits[2] = {0, 0}, counts[2] = {0, 0};
    for (Eigen::Index i = 0; i < decisions.size(); ++i) {
        const double weight = weights.empty() ? 1 : weights[static_cast<std::size_t>(i)];
        const std::size_t label = labels[i] > 0 ? 1 : 0;
        counts[label] += weight;
        if ((decisions[i] > 0) == (label == 1)) hits[label] += weight;
    }
    if (counts[0] <= 0 || counts[1] <= 0) return kNoNumber;
    return 0.5 * (hits[0] / counts[0] + hits[1] / counts[1]);
}

double class_accuracy(const Eigen::Ref<const Matrix>& decisions, std::span<const std::int32_t> labels,
                      std::span<const double> weights) {
    VectorD hits = VectorD::Zero(decisions.cols()), counts = hits;
    for (Eigen::Index i = 0; i < decisions.rows(); ++i) {
        const double weight = weights.empty() ? 1 : weights[static_cast<std::size_t>(i)];
        const std::int32_t label = labels[static_cast<std::size_t>(i)];
        Eigen::Index best = 0;
        decisions.row(i).maxCoeff(&best);
        counts[label] += weight;
        if (best == label) hits[label] += weight;
    }
    if ((counts.array() <= 0).any()) return kNoNumber;
    return (hits.array() / counts.array()).mean();
}

}  // namespace tomograph
