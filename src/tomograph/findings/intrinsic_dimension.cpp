#include <algorithm>
#include <cmath>

#include "tomograph/base/random.h"
#include "tomograph/findings/fewer_rows.h"
#include "tomograph/findings/headline_mean.h"
#include "tomograph/findings/list.h"
#include "tomograph/statistics/dimension.h"

namespace tomograph {
namespace {

constexpr int kMleNeighbors = 20;
constexpr std::int64_t kNeighborRows = 2000;  // their cost grows with their square
constexpr Eigen::Index kSpectrum = 32;

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
        : subject_(subject),
          means_(subject),
          by_site_(subject.sites.size()),
          rows_(subject, kNeighborRows, 0x7417) {}

    void site(SiteRows& rows) override {
        Matrix near;
        if (!rows.constant()) near = nearest(rows_.of(rows.rows()));
        BySite& found = by_site_[rows.index()];
        found.dimension = two_nn(near);
        if (!subject_.effects_only && of_stream(rows.site())) found.left_out = left_out(near);
        if (rows.headline() && !rows.constant()) {
            HeadlineMean::Layer& layer = means_.at(rows);
            layer.value = found.dimension;
            if (!subject_.effects_only) {
                layer.left_out = found.left_out;
                const auto n = static_cast<std::int64_t>(rows_.size());
                layer.null = two_nn(nearest(gaussian_like(rows.pca(), n, subject_.options.seed)));
            }
        }
        if (subject_.effects_only) return;
        const Pca& pca = rows.pca();
        Json& line = rows.line();
        const auto of_spectrum = [&](double (*measure)(const VectorD&)) {
            return number(rows.constant() ? kNoNumber : measure(pca.explained_variance));
        };
        line["participation_ratio"] = of_spectrum(participation_ratio);
        line["entropy_rank"] = of_spectrum(entropy_rank);
        line["two_nn"] = number(found.dimension);
        line["mle_dimension"] = number(mle_dimension(near));
        line["neighbor_rows"] = near.rows();
        line["spectrum"] = Json::array();
        for (Eigen::Index i = 0; i < std::min(kSpectrum, pca.explained_variance_ratio.size()); ++i)
            line["spectrum"].push_back(number(pca.explained_variance_ratio[i]));
    }

    Effect finish() override {
        Effect effect = means_.effect("Gaussian cloud");
        if (subject_.effects_only) return effect;
        if (subject_.sample.n_groups < 2 && effect.unmeasurable == HeadlineMean::kTooFewRows)
            effect.unmeasurable = "one sequence only: neighbours are looked for in others";
        if (effect.unmeasurable.empty()) effect.detail["peak"] = peak();
        std::vector<double> dimensions;
        for (const BySite& site : by_site_) dimensions.push_back(site.dimension);
        effect.charts.push_back(component_chart(
            subject_, dimensions,
            {.name = "dimension-by-layer",
             .title = "Intrinsic dimension",
             .caption = "TwoNN intrinsic dimension by layer, from neighbours in other sequences. Level line: "
                        "Gaussian clouds of the same covariance."},
            "TwoNN dimension"));
        add_bands(std::get<LayerChart>(effect.charts.back().shape));
        return effect;
    }

  private:
    struct BySite {
        double dimension = kNoNumber;
        std::vector<double> left_out;  ///< without each group; of the stream
    };

    void add_bands(LayerChart& chart) const {
        for (ChartLine& line : chart.lines) {
            if (line.component != subject_.stream) continue;
            for (const double layer : line.layer) {
                const auto site = std::ranges::find(
                    subject_.sites, Site{.component = *subject_.stream, .layer = static_cast<int>(layer)});
                const BySite& found = by_site_[static_cast<std::size_t>(site - subject_.sites.begin())];
                const auto interval = jackknife_interval(found.dimension, found.left_out);
                line.low.push_back(interval ? interval->lo : kNoNumber);
                line.high.push_back(interval ? interval->hi : kNoNumber);
            }
        }
    }

    bool of_stream(const Site& site) const { return subject_.stream && site.component == *subject_.stream; }

    /// Distances to neighbours in other sequences.
    Matrix nearest(const Matrix& rows) const {
        const auto k = static_cast<int>(std::min<Eigen::Index>(kMleNeighbors, rows.rows() - 1));
        return k < 2 ? Matrix() : nearest_of_other_groups(rows, rows_.group(), k);
    }

    std::vector<double> left_out(const Matrix& near) const {
        std::vector<double> row_weights(static_cast<std::size_t>(near.rows()));
        return leave_out_groups(subject_, [&](std::span<const double> weights) {
            for (std::size_t i = 0; i < row_weights.size(); ++i)
                row_weights[i] = weights[static_cast<std::size_t>(rows_.group()[i])];
            return two_nn(near, row_weights);
        });
    }

    /// Where along the stream the dimension is highest, and between which layers that place lies when each
    /// group of sequences is left out.
    Json peak() const {
        std::vector<std::size_t> sites;
        for (std::size_t i = 0; i < by_site_.size(); ++i) {
            if (of_stream(subject_.sites[i]) && !std::isnan(by_site_[i].dimension)) sites.push_back(i);
        }
        const auto highest = [&](const auto& dimension) {
            std::size_t best = sites.front();
            for (const std::size_t i : sites) {
                if (dimension(by_site_[i]) > dimension(by_site_[best])) best = i;
            }
            return best;
        };
        if (sites.empty()) return nullptr;
        const auto of = [](const BySite& site) { return site.dimension; };
        const std::size_t best = highest(of);
        const auto layer = [&](std::size_t i) { return subject_.sites[i].layer; };
        int first = layer(best), last = first;
        for (std::size_t g = 0; g < by_site_[best].left_out.size(); ++g) {
            const int without = layer(highest([&](const BySite& site) { return site.left_out[g]; }));
            first = std::min(first, without);
            last = std::max(last, without);
        }
        return {{"layer", layer(best)},
                {"dimension", number(of(by_site_[best]))},
                {"layers_without_a_sequence", {first, last}},
                {"first_layer", number(of(by_site_[sites.front()]))},
                {"last_layer", number(of(by_site_[sites.back()]))}};
    }

    Subject& subject_;
    HeadlineMean means_;
    std::vector<BySite> by_site_;
    FewerRows rows_;
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
    .margin = {.width = 0.1, .share = true},
    .needs_vectors = true};

}  // namespace tomograph
