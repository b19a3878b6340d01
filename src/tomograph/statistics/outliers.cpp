#include "tomograph/statistics/outliers.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "tomograph/base/random.h"
#include "tomograph/statistics/statistics.h"

namespace tomograph {
namespace {

constexpr int kMostNeighbors = 16;
// Equal values differ by rounding; a deviation of logarithms below it is none.
constexpr double kLogFloor = 1e-3;

double log_of(double value) {
    return std::log(std::max(value, 1e-30));
}

}  // namespace

OutlierModel::OutlierModel(const Matrix& sample, const Pca& pca, const OutlierOptions& options)
    : basis_(pca), neighbor_(std::clamp(options.neighbor, 1, kMostNeighbors - 1)) {
    // Components of variance zero would turn rounding into distance.
    Eigen::Index k = 0;
    while (k < std::min<Eigen::Index>(options.components, pca.n_components()) &&
           pca.explained_variance[k] > 1e-10 * pca.total_variance)
        ++k;
    basis_.components = pca.components.topRows(k);
    basis_.explained_variance = pca.explained_variance.head(k);
    inverse_deviation_ = basis_.explained_variance.cwiseSqrt().cwiseInverse().cast<float>();
    const auto rows = sample_indices(sample.rows(), options.reference, options.seed);
    Matrix chosen(static_cast<Eigen::Index>(rows.size()), sample.cols());
    for (Eigen::Index i = 0; i < chosen.rows(); ++i)
        chosen.row(i) = sample.row(static_cast<Eigen::Index>(rows[static_cast<std::size_t>(i)]));
    chosen.rowwise() -= basis_.mean.transpose();
    reference_ = chosen * basis_.components.transpose();
    reference_squares_ = reference_.rowwise().squaredNorm();
}

OutlierModel::Distances OutlierModel::distances(const Eigen::Ref<const Matrix>& rows) const {
    constexpr Eigen::Index kBlock = 256;
    Distances result;
    for (Eigen::Index begin = 0; begin < rows.rows(); begin += kBlock) {
        const Eigen::Index n = std::min(kBlock, rows.rows() - begin);
        const Matrix scores =
            (rows.middleRows(begin, n).rowwise() - basis_.mean.transpose()) * basis_.components.transpose();
        // |z - r|^2 - |z|^2: the part that decides which reference rows are near.
        const Matrix partial =
            (-2.0f * scores * reference_.transpose()).rowwise() + reference_squares_.transpose();
        for (Eigen::Index i = 0; i < n; ++i) {
            const double own = scores.row(i).squaredNorm();
            std::array<float, kMostNeighbors> nearest;
            nearest.fill(std::numeric_limits<float>::max());
            const auto keep = static_cast<std::size_t>(neighbor_) + 1;  // one may be the row itself
            const auto take = [&](float value) {
                if (value >= nearest[keep - 1]) return;
                std::size_t at = keep - 1;
                for (; at > 0 && nearest[at - 1] > value; --at) nearest[at] = nearest[at - 1];
                nearest[at] = value;
            };
            // Most stretches hold none that is near enough.
            constexpr Eigen::Index kStretch = 32;
            Eigen::Index r = 0;
            for (; r + kStretch <= partial.cols(); r += kStretch) {
                const auto stretch = partial.row(i).segment<kStretch>(r);
                if (stretch.minCoeff() >= nearest[keep - 1]) continue;
                for (Eigen::Index c = 0; c < kStretch; ++c) take(stretch[c]);
            }
            for (; r < partial.cols(); ++r) take(partial(i, r));
            const double rounding = 1e-5 * own;
            const std::size_t self = nearest[0] + own <= rounding ? 1 : 0;
            const double found =
                nearest[std::min(static_cast<std::size_t>(neighbor_) - 1 + self,
                                 static_cast<std::size_t>(std::max<Eigen::Index>(partial.cols() - 1, 0)))];
            result.copies += found + own <= rounding;
            result.neighbor.push_back(0.5 * log_of(std::max(found + own, rounding)));
            result.mahalanobis.push_back(
                log_of(scores.row(i).cwiseProduct(inverse_deviation_.transpose()).norm()));
        }
    }
    return result;
}

std::vector<double> norm_outlier_scores(std::span<const double> norms) {
    std::vector<double> scores;
    scores.reserve(norms.size());
    for (const double norm : norms) scores.push_back(log_of(norm));
    scores = robust_z(scores, kLogFloor);
    for (double& score : scores) score = std::abs(score);
    return scores;
}

std::vector<ScoredRow> combine_outlier_scores(std::span<const double> norms,
                                              const OutlierModel::Distances& distances) {
    const auto by_norm = norm_outlier_scores(norms);
    std::vector<ScoredRow> rows(norms.size());
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = {by_norm[i], "norm"};
    const auto add = [&](const std::vector<double>& values, const char* name) {
        const auto z = robust_z(values, kLogFloor);
        for (std::size_t i = 0; i < z.size(); ++i) {
            if (z[i] > rows[i].score) rows[i] = {z[i], name};
        }
    };
    if (distances.neighbors_tell()) add(distances.neighbor, "neighbors");
    add(distances.mahalanobis, "mahalanobis");
    return rows;
}

}  // namespace tomograph
