#include <algorithm>
#include <cmath>

#include "tomograph/base/random.h"
#include "tomograph/findings/headline_mean.h"
#include "tomograph/findings/labelled_rows.h"
#include "tomograph/findings/list.h"
#include "tomograph/select/experts.h"
#include "tomograph/statistics/label_share.h"

namespace tomograph {
namespace {

constexpr std::uint64_t kExpertShuffles = 40;

class ExpertShare final : public Measurement {
  public:
    explicit ExpertShare(Subject& subject)
        : subject_(subject), layers_(subject.sites.size()), loads_(subject.sites.size()) {}

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
        std::vector<std::int64_t>& load = loads_[rows.index()];
        load.assign(static_cast<std::size_t>(n_experts), 0);
        std::vector<std::int32_t> preferred;
        for (Eigen::Index i = 0; i < gates.rows(); ++i) {
            preferred.push_back(
                preferred_expert({gates.row(i).data(), static_cast<std::size_t>(gates.cols())}));
            ++load[static_cast<std::size_t>(preferred.back())];
        }
        if (rows.constant()) return;
        const LabelShare share(rows.rows(), sample.group, sample.n_groups);
        HeadlineMean::Layer& layer = layers_[rows.index()];
        layer.value = share.value(preferred, n_experts);
        if (subject_.effects_only) return;
        layer.left_out = share.left_out(preferred, n_experts);
        std::vector<double> chance;
        for (std::uint64_t s = 0; s < kExpertShuffles; ++s)
            // Within each sequence, so that it keeps its experts.
            chance.push_back(share.value(
                shuffled_within(preferred, sample.group, mix(subject_.options.seed, s)), n_experts));
        layer.null = quantile(chance, 0.975);
    }

    Effect finish() override {
        Effect effect = mean_over_layers(
            subject_, layers_, [this](const Site& site) { return subject_.headline_layer(site.layer); },
            "no middle layer has a mixture's vectors beside its router's; capture with --components "
            "router,mlp_out,resid_post",
            "experts shuffled");
        if (!effect.unmeasurable.empty() || subject_.effects_only) return effect;
        add_table();
        effect.charts.push_back(chart());
        return effect;
    }

  private:
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
        for (std::size_t i = 0; i < loads_.size(); ++i) {
            if (loads_[i].empty()) continue;
            table.push_back({{"layer", subject_.sites[i].layer},
                             {"load", loads_[i]},
                             {"evenness", number(evenness(loads_[i]))},
                             {"share", number(layers_[i].value)},
                             {"share_shuffled", number(layers_[i].null)}});
        }
    }

    Chart chart() const {
        ChartLine line{.name = "by preferred expert"}, chance{.name = "experts shuffled", .control = true};
        for (std::size_t i = 0; i < layers_.size(); ++i) {
            if (std::isnan(layers_[i].value)) continue;
            add_point(line, subject_.sites[i].layer, layers_[i].value, layers_[i].left_out);
            chance.value.push_back(layers_[i].null);
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
    // Of each site: what the mixture that writes there shows, and its rows by the expert that their router
    // prefers.
    std::vector<HeadlineMean::Layer> layers_;
    std::vector<std::vector<std::int64_t>> loads_;
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
