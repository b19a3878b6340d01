#include "tomograph/capture/shard_moments.h"

#include <algorithm>
#include <utility>

namespace tomograph {
namespace {

/// Mean and sum of squared deviations by coordinate; float32 within a few rows, float64 over them.
void by_coordinate(const Matrix& rows, SiteMoments& moments) {
    constexpr Eigen::Index kFew = 64;
    const Eigen::Index n = rows.rows(), d = rows.cols();
    moments.mean = VectorD::Zero(d);
    for (Eigen::Index i = 0; i < n; i += kFew)
        moments.mean += rows.middleRows(i, std::min(kFew, n - i)).colwise().sum().transpose().cast<double>();
    moments.mean /= static_cast<double>(n);
    const Vector center = moments.mean.cast<float>();
    const VectorD left = moments.mean - center.cast<double>();
    moments.squares = VectorD::Zero(d);
    for (Eigen::Index i = 0; i < n; i += kFew) {
        const auto part = rows.middleRows(i, std::min(kFew, n - i)).rowwise() - center.transpose();
        moments.squares += part.cwiseAbs2().colwise().sum().transpose().cast<double>();
    }
    moments.squares -= static_cast<double>(n) * left.cwiseAbs2();
    moments.squares = moments.squares.cwiseMax(0);
}

}  // namespace

void ShardMoments::add(std::size_t site, std::int64_t first, std::int64_t n, const float* values,
                       const Scored& scored) {
    const std::int64_t d = plan_.sites[site].width();
    const std::int64_t k = plan_.basis ? plan_.basis->sites[site].rank() : 0;
    rows_.resize(n, d);
    scores_.resize(n, k);
    Eigen::Index counted = 0;
    for (std::int64_t i = 0; i < n; ++i) {
        const std::int32_t label = plan_.tokens.label[static_cast<std::size_t>(first + i)];
        const Eigen::Map<const Eigen::RowVectorXf> row(values + i * d, d);
        if ((plan_.label_outside_means >= 0 && label == plan_.label_outside_means) || !row.allFinite())
            continue;
        rows_.row(counted) = row;
        if (k > 0) scores_.row(counted) = Eigen::Map<const Eigen::RowVectorXf>(scored.scores + i * k, k);
        ++counted;
    }
    if (counted == 0) return;
    rows_.conservativeResize(counted, d);
    scores_.conservativeResize(counted, k);
    SiteMoments piece{.count = counted};
    Moments products = compute_moments(MatrixRows(k > 0 ? scores_ : rows_), {threads_});
    piece.comoment = std::move(products.comoment);
    if (k > 0) {
        piece.score_mean = std::move(products.mean);
        by_coordinate(rows_, piece);
    } else {
        piece.mean = std::move(products.mean);
        piece.squares = piece.comoment.diagonal();
    }
    sites_[site].merge(piece);
}

void ShardMoments::write(RunWriter& writer) {
    for (std::size_t i = 0; i < sites_.size(); ++i) {
        SiteMoments moments = std::exchange(sites_[i], {});
        if (moments.count == 0) {
            const std::int64_t d = plan_.sites[i].width();
            const std::int64_t k = plan_.basis ? plan_.basis->sites[i].rank() : 0, q = k > 0 ? k : d;
            moments = {0, VectorD::Zero(d), VectorD::Zero(d), MatrixD::Zero(q, q), VectorD::Zero(k)};
        }
        writer.take_moments(i, moments);
    }
}

}  // namespace tomograph
