#include <algorithm>
#include <cmath>

#include "tomograph/base/random.h"
#include "tomograph/findings/headline_mean.h"
#include "tomograph/findings/list.h"
#include "tomograph/neighbors/neighbors.h"
#include "tomograph/statistics/dimension.h"

namespace tomograph {
namespace {

constexpr int kMleNeighbors = 20;
constexpr std::int64_t kNeighborRows = 2000;  // their cost grows with their square
constexpr Eigen::Index kSpectrum = 32;

/// Distances to the nearest neighbours of each row, and apart those to the first two.
struct NearTwo {
    std::vector<double> r1, r2;
    Matrix distances;
};

NearTwo nearest(const Matrix& rows) {
    NearTwo near;
    const auto k = static_cast<int>(std::min<Eigen::Index>(kMleNeighbors, rows.rows() - 1));
    if (k < 2) return near;
    near.distances =
        find_neighbors(MatrixRows(rows), k, {.search = NeighborOptions::Search::exact, .threads = 1})
            .distances;
    for (Eigen::Index i = 0; i < rows.rows(); ++i) {
        near.r1.push_back(near.distances(i, 0));
        near.r2.push_back(near.distances(i, 1));
    }
    return near;
}

/// At most `most` of the rows, drawn by seed, in the same order; `kept` says which.
Matrix thin_rows(const Matrix& rows, std::int64_t most, std::vector<std::int64_t>& kept) {
    kept = sample_indices(rows.rows(), most, 0x7417);
    Matrix thin(static_cast<Eigen::Index>(kept.size()), rows.cols());
    for (Eigen::Index i = 0; i < thin.rows(); ++i)
        thin.row(i) = rows.row(static_cast<Eigen::Index>(kept[static_cast<std::size_t>(i)]));
    return thin;
}

/// A Gaussian cloud with the spectrum of `pca`: in its own principal axes, which is all that distances need.
Matrix gaussian_like(const Pca& pca, std::int64_t n, std::uint64_t seed) {
    Rng rng(mix(seed, 0x6a55));
    Matrix cloud(n, pca.n_components());
    for (Eigen::Index i = 0; i < n; ++i) {
        for (Eigen::Index c = 0; c < cloud.cols(); ++c)
            cloud(i, c) = static_cast<float>(rng.normal() * std::sqrt(pca.explained_variance[c]));
    }
    return cloud;
}

class IntrinsicDimension final : public Measurement {
  public:
    explicit IntrinsicDimension(Subject& subject)
        : subject_(subject), means_(subject), by_site_(subject.sites.size(), kNoNumber) {}

    void site(SiteRows& rows) override {
        std::vector<std::int64_t> kept;
        NearTwo near;
        if (!rows.constant()) near = nearest(thin_rows(rows.rows(), kNeighborRows, kept));
        const double dimension = two_nn(near.r1, near.r2);
        if (rows.headline() && !rows.constant()) {
            HeadlineMean::Layer& layer = means_.at(rows);
            layer.value = dimension;
            if (!subject_.effects_only) add_chance(rows.pca(), near, kept, layer);
        }
        if (subject_.effects_only) return;
        by_site_[rows.index()] = dimension;
        const Pca& pca = rows.pca();
        Json& line = rows.line();
        const auto of_spectrum = [&](double (*measure)(const VectorD&)) {
            return number(rows.constant() ? kNoNumber : measure(pca.explained_variance));
        };
        line["participation_ratio"] = of_spectrum(participation_ratio);
        line["effective_rank"] = of_spectrum(effective_rank);
        line["two_nn"] = number(dimension);
        line["mle_dimension"] = number(mle_dimension(near.distances));
        line["neighbor_rows"] = near.r1.size();
        line["spectrum"] = Json::array();
        for (Eigen::Index i = 0; i < std::min(kSpectrum, pca.explained_variance_ratio.size()); ++i)
            line["spectrum"].push_back(number(pca.explained_variance_ratio[i]));
    }

    Effect finish() override {
        Effect effect = means_.effect("Gaussian cloud");
        if (subject_.effects_only) return effect;
        effect.charts.push_back(component_chart(
            subject_, by_site_,
            {.name = "dimension-by-layer",
             .title = "Intrinsic dimension",
             .caption = "TwoNN intrinsic dimension by layer. Level line: Gaussian clouds of the same "
                        "covariance."},
            "TwoNN dimension"));
        return effect;
    }

  private:
    void add_chance(const Pca& pca, const NearTwo& near, const std::vector<std::int64_t>& kept,
                    HeadlineMean::Layer& layer) const {
        const std::uint64_t seed = subject_.options.seed;
        const SampleRows& sample = subject_.sample;
        const NearTwo of_cloud = nearest(gaussian_like(pca, static_cast<std::int64_t>(near.r1.size()), seed));
        layer.null = two_nn(of_cloud.r1, of_cloud.r2);
        std::vector<double> row_weights(near.r1.size());
        for (int r = 0; r < subject_.options.bootstrap; ++r) {
            const auto weights = bootstrap_weights(sample.n_groups, seed, r);
            for (std::size_t i = 0; i < row_weights.size(); ++i)
                row_weights[i] =
                    weights[static_cast<std::size_t>(sample.group[static_cast<std::size_t>(kept[i])])];
            layer.replicates.push_back(two_nn(near.r1, near.r2, row_weights));
        }
    }

    Subject& subject_;
    HeadlineMean means_;
    std::vector<double> by_site_;
};

}  // namespace

const FindingKind findings::intrinsic_dimension{
    .name = "intrinsic_dimension",
    .effect_is = "TwoNN dimension of the stream, middle layers",
    .controls = "Gaussian cloud",
    .smaller_counts = true,
    .measure = [](Subject& subject) -> std::unique_ptr<Measurement> {
        return std::make_unique<IntrinsicDimension>(subject);
    },
    .margin = {.width = 0.1, .share = true}};

}  // namespace tomograph
