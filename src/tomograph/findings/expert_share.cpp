#include <algorithm>
#include <cmath>

#include "tomograph/base/random.h"
#include "tomograph/findings/headline_mean.h"
#include "tomograph/findings/list.h"
#include "tomograph/statistics/label_share.h"

namespace tomograph {
namespace {

constexpr std::uint64_t kShuffles = 40;

/// What one layer's mixture shows.
struct Mixture {
    double share = kNoNumber, shuffled = kNoNumber;
    std::vector<double> left_out;
    std::vector<std::int64_t> load;  ///< rows by the expert that their router prefers
};

class ExpertShare final : public Measurement {
  public:
    explicit ExpertShare(Subject& subject) : subject_(subject), mixtures_(subject.sites.size()) {}

    void site(SiteRows& rows) override {
        const Run& run = subject_.run;
        const Site& site = rows.site();
        const Site router{Component::router, site.layer};
        const bool beside = run.has_vectors({Component::moe_out, site.layer});
        if (site.component != (beside ? Component::moe_out : Component::mlp_out) || !run.has_vectors(router))
            return;
        const SampleRows& sample = subject_.sample;
        const Matrix gates = read_sample(run, router, sample.rows);
        const auto n_experts = static_cast<int>(gates.cols());
        Mixture& mixture = mixtures_[rows.index()];
        mixture.load.assign(static_cast<std::size_t>(n_experts), 0);
        std::vector<std::int32_t> preferred;
        for (Eigen::Index i = 0; i < gates.rows(); ++i) {
            Eigen::Index best = 0;
            gates.row(i).maxCoeff(&best);
            preferred.push_back(static_cast<std::int32_t>(best));
            ++mixture.load[static_cast<std::size_t>(best)];
        }
        if (rows.constant()) return;
        const LabelShare share(rows.rows(), sample.group, sample.n_groups);
        mixture.share = share.value(preferred, n_experts);
        if (subject_.effects_only) return;
        mixture.left_out = share.left_out(preferred, n_experts);
        std::vector<double> chance;
        for (std::uint64_t s = 0; s < kShuffles; ++s)
            chance.push_back(share.value(shuffled(preferred, mix(subject_.options.seed, s)), n_experts));
        mixture.shuffled = quantile(chance, 0.975);
    }

    Effect finish() override {
        Effect effect;
        std::vector<double> values, nulls, means;
        std::vector<int> layers;
        for (std::size_t i = 0; i < mixtures_.size(); ++i) {
            const Mixture& mixture = mixtures_[i];
            if (std::isnan(mixture.share) || !subject_.headline_layer(subject_.sites[i].layer)) continue;
            layers.push_back(subject_.sites[i].layer);
            values.push_back(mixture.share);
            nulls.push_back(mixture.shuffled);
            if (means.empty()) means.assign(mixture.left_out.size(), 0.0);
            for (std::size_t g = 0; g < means.size(); ++g) means[g] += mixture.left_out[g];
        }
        if (values.empty()) {
            effect.unmeasurable =
                "no middle layer has a mixture's vectors beside its router's; capture with --components "
                "router,mlp_out,resid_post";
            return effect;
        }
        for (double& mean : means) mean /= static_cast<double>(values.size());
        effect.value = mean_of(values);
        effect.detail["layers"] = layers;
        effect.detail["by_layer"] = numbers(values);
        if (subject_.effects_only) return effect;
        effect.interval = jackknife_interval(effect.value, means);
        effect.controls.push_back({"experts shuffled", mean_of(nulls)});
        add_table();
        effect.charts.push_back(chart());
        return effect;
    }

  private:
    /// Within each sequence, so that it keeps its experts.
    std::vector<std::int32_t> shuffled(std::vector<std::int32_t> labels, std::uint64_t seed) const {
        const auto& group = subject_.sample.group;
        Rng rng(seed);
        for (std::size_t begin = 0; begin < labels.size();) {
            std::size_t end = begin;
            while (end < labels.size() && group[end] == group[begin]) ++end;
            for (std::size_t left = end - begin; left > 1; --left)
                std::swap(labels[begin + left - 1], labels[begin + rng.below(left)]);
            begin = end;
        }
        return labels;
    }

    /// How even the load is: the entropy of the preferred experts over its largest value.
    static double evenness(const std::vector<std::int64_t>& load) {
        double n = 0, entropy = 0;
        for (const std::int64_t rows : load) n += static_cast<double>(rows);
        for (const std::int64_t rows : load) {
            if (rows > 0) entropy -= static_cast<double>(rows) / n * std::log(static_cast<double>(rows) / n);
        }
        return load.size() < 2 || n == 0 ? kNoNumber : entropy / std::log(static_cast<double>(load.size()));
    }

    void add_table() const {
        Json& table = subject_.tables["experts"] = Json::array();
        for (std::size_t i = 0; i < mixtures_.size(); ++i) {
            const Mixture& mixture = mixtures_[i];
            if (mixture.load.empty()) continue;
            table.push_back({{"layer", subject_.sites[i].layer},
                             {"load", mixture.load},
                             {"evenness", number(evenness(mixture.load))},
                             {"share", number(mixture.share)},
                             {"share_shuffled", number(mixture.shuffled)}});
        }
    }

    Chart chart() const {
        ChartLine line{.name = "by preferred expert"}, chance{.name = "experts shuffled", .control = true};
        for (std::size_t i = 0; i < mixtures_.size(); ++i) {
            if (std::isnan(mixtures_[i].share)) continue;
            add_point(line, subject_.sites[i].layer, mixtures_[i].share, mixtures_[i].left_out);
            chance.value.push_back(mixtures_[i].shuffled);
        }
        chance.layer = line.layer;
        return {.name = "experts-by-layer",
                .title = "What the router's choice says of what the mixture writes",
                .caption =
                    "Share of the variance of a mixture's outputs, as unit vectors, that lies between "
                    "tokens of different preferred experts, less chance; by layer.",
                .shape = LayerChart{.y_label = "share of variance",
                                    .lines = {std::move(line), std::move(chance)},
                                    .drawn_controls = {"experts shuffled"}}};
    }

    Subject& subject_;
    std::vector<Mixture> mixtures_;
};

}  // namespace

const FindingKind findings::expert_share{
    .name = "expert_share",
    .effect_is =
        "share of the variance of a mixture's outputs between tokens of different preferred experts, "
        "middle layers",
    .controls = "experts shuffled",
    .twin_counts = true,
    .needs = Needs::router,
    .measure = [](Subject& subject) -> std::unique_ptr<Measurement> {
        return std::make_unique<ExpertShare>(subject);
    },
    .margin = {.width = 0.01, .no_effect = 0}};

}  // namespace tomograph
