#include "tomograph/statistics/label_share.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "tomograph/base/random.h"
#include "tomograph/findings/headline_mean.h"
#include "tomograph/findings/labelled_rows.h"
#include "tomograph/findings/list.h"

namespace tomograph {
namespace {

constexpr std::uint64_t kShareSurrogates = 40;

/// How much of what differs from token to token goes with the tokens' labels: context and question, roles of
/// a chat.
class LabelShareOfRows final : public Measurement {
  public:
    explicit LabelShareOfRows(Subject& subject) : subject_(subject), found_(subject) {}

    void site(SiteRows& rows) override {
        const LabelledRows& labelled = found_.rows;
        if (!labelled.lacks.empty() || rows.constant()) return;
        const LabelShare share(labelled.unit(rows.rows()), labelled.group, subject_.sample.n_groups);
        const int n = labelled.n_labels();
        HeadlineMean::Layer& layer = found_.layers[rows.index()];
        layer.value = share.value(labelled.label, n);
        if (subject_.effects_only) return;
        layer.left_out = share.left_out(labelled.label, n);
        std::vector<double> chance, others;
        for (std::uint64_t s = 0; s < kShareSurrogates; ++s) {
            chance.push_back(share.value(labelled.shuffled(mix(subject_.options.seed, s)), n));
            others.push_back(
                share.value(labelled.of_another_sequence(mix(subject_.options.seed, 0x1abe, s)), n));
        }
        found_.control(rows.index(), std::move(chance), std::move(others));
    }

    Effect finish() override {
        Effect effect = found_.effect();
        if (!effect.unmeasurable.empty() || subject_.effects_only) return effect;
        found_.add_table("labels", "share");
        effect.charts.push_back(chart());
        return effect;
    }

  private:
    Chart chart() const {
        std::vector<double> values;
        for (const HeadlineMean::Layer& layer : found_.layers) values.push_back(layer.value);
        Chart chart = component_chart(
            subject_, values,
            {.name = "labels-by-layer",
             .title = "Where the tokens' labels show",
             .caption = "Share of the variance of unit vectors that lies between tokens of different "
                        "labels, less chance; by layer. Beside it what labels of other sequences, at "
                        "the same positions, reach in the stream."},
            "share of variance");
        ChartLine others{.name = "labels of other sequences", .control = true};
        for (std::size_t i = 0; i < found_.layers.size(); ++i) {
            if (subject_.stream != subject_.sites[i].component || subject_.sites[i].layer < 0 ||
                std::isnan(found_.of_others[i]))
                continue;
            others.layer.push_back(subject_.sites[i].layer);
            others.value.push_back(found_.of_others[i]);
        }
        auto& lines = std::get<LayerChart>(chart.shape);
        lines.lines.push_back(std::move(others));
        lines.drawn_controls = {"labels of other sequences"};
        return chart;
    }

    Subject& subject_;
    LabelledLayers found_;
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
