#include "tomograph/statistics/label_share.h"

#include <algorithm>
#include <cmath>

#include "tomograph/base/random.h"
#include "tomograph/findings/headline_mean.h"
#include "tomograph/findings/labelled_rows.h"
#include "tomograph/findings/list.h"

namespace tomograph {
namespace {

constexpr std::uint64_t kSurrogates = 40;

/// How much of what differs from token to token goes with the tokens' labels: context and question, roles of
/// a chat.
class LabelShareOfRows final : public Measurement {
  public:
    explicit LabelShareOfRows(Subject& subject)
        : subject_(subject),
          labelled_(subject),
          layers_(subject.sites.size()),
          of_others_(subject.sites.size(), kNoNumber) {}

    void site(SiteRows& rows) override {
        if (!labelled_.lacks.empty() || rows.constant()) return;
        const LabelShare share(labelled_.unit(rows.rows()), labelled_.group, subject_.sample.n_groups);
        const int n = labelled_.n_labels();
        HeadlineMean::Layer& layer = layers_[rows.index()];
        layer.value = share.value(labelled_.label, n);
        if (subject_.effects_only) return;
        layer.left_out = share.left_out(labelled_.label, n);
        std::vector<double> chance, others;
        for (std::uint64_t s = 0; s < kSurrogates; ++s) {
            chance.push_back(share.value(labelled_.shuffled(mix(subject_.options.seed, s)), n));
            others.push_back(
                share.value(labelled_.of_another_sequence(mix(subject_.options.seed, 0x1abe, s)), n));
        }
        layer.null = quantile(chance, 0.975);
        of_others_[rows.index()] = quantile(others, 0.975);
    }

    Effect finish() override {
        Effect effect;
        if (effect.unmeasurable = labelled_.lacks; !effect.unmeasurable.empty()) return effect;
        if (effect.unmeasurable = subject_.lacks_stream(); !effect.unmeasurable.empty()) return effect;
        const auto headline = [this](const Site& site) { return subject_.headline(site); };
        effect = mean_over_layers(subject_, layers_, headline, HeadlineMean::kTooFewRows, "labels shuffled");
        if (!effect.unmeasurable.empty() || subject_.effects_only) return effect;
        std::vector<double> others;
        for (std::size_t i = 0; i < layers_.size(); ++i) {
            if (headline(subject_.sites[i]) && !std::isnan(layers_[i].value)) others.push_back(of_others_[i]);
        }
        effect.controls.push_back({"labels of other sequences", mean_of(others)});
        effect.detail["labels"] = labelled_.names;
        effect.detail["rows"] = labelled_.label.size();
        add_table();
        effect.charts.push_back(chart());
        return effect;
    }

  private:
    void add_table() const {
        Json& table = subject_.tables["labels"] = Json::array();
        for (std::size_t i = 0; i < layers_.size(); ++i) {
            if (std::isnan(layers_[i].value)) continue;
            table.push_back({{"site", subject_.sites[i].name()},
                             {"share", number(layers_[i].value)},
                             {"interval", number(jackknife_interval(layers_[i].value, layers_[i].left_out))},
                             {"share_shuffled", number(layers_[i].null)},
                             {"share_other_sequences", number(of_others_[i])}});
        }
    }

    Chart chart() const {
        std::vector<double> values;
        for (const HeadlineMean::Layer& layer : layers_) values.push_back(layer.value);
        Chart chart = component_chart(
            subject_, values,
            {.name = "labels-by-layer",
             .title = "Where the tokens' labels show",
             .caption = "Share of the variance of unit vectors that lies between tokens of different "
                        "labels, less chance; by layer. Beside it what labels of other sequences, at "
                        "the same positions, reach in the stream."},
            "share of variance");
        ChartLine others{.name = "labels of other sequences", .control = true};
        for (std::size_t i = 0; i < layers_.size(); ++i) {
            if (subject_.stream != subject_.sites[i].component || subject_.sites[i].layer < 0 ||
                std::isnan(of_others_[i]))
                continue;
            others.layer.push_back(subject_.sites[i].layer);
            others.value.push_back(of_others_[i]);
        }
        auto& lines = std::get<LayerChart>(chart.shape);
        lines.lines.push_back(std::move(others));
        lines.drawn_controls = {"labels of other sequences"};
        return chart;
    }

    Subject& subject_;
    LabelledRows labelled_;
    std::vector<HeadlineMean::Layer> layers_;  // of each site
    std::vector<double> of_others_;
};

}  // namespace

const FindingKind findings::label_share{
    .name = "label_share",
    .effect_is = "share of the stream's variance between tokens of different labels, middle layers",
    .controls = "labels shuffled, labels of other sequences",
    .twin_counts = true,
    .needs = Needs::labels,
    .measure = [](Subject& subject) -> std::unique_ptr<Measurement> {
        return std::make_unique<LabelShareOfRows>(subject);
    },
    .margin = {.width = 0.01, .no_effect = 0}};

}  // namespace tomograph
