#include <algorithm>
#include <cmath>

#include "tomograph/findings/fewer_rows.h"
#include "tomograph/findings/headline_mean.h"
#include "tomograph/findings/list.h"
#include "tomograph/findings/pair_means.h"
#include "tomograph/statistics/components.h"

namespace tomograph {
namespace {

constexpr std::int64_t kOverlapRows = 1000;  // their cost grows with their square

struct Overlap {
    double overlap = kNoNumber, deviation = kNoNumber, same = kNoNumber;
    double participation_attention = kNoNumber, participation_mlp = kNoNumber;
    double cosine = kNoNumber, cosine_repaired = kNoNumber;
    std::vector<double> left_out, pairs_out, cosine_left_out, repaired_left_out;
};

class AttnMlpOverlap final : public Measurement {
  public:
    explicit AttnMlpOverlap(Subject& subject)
        : subject_(subject),
          layers_(paired_layers(subject)),
          numbers_(layers_.size()),
          rows_(subject, kOverlapRows, subject.options.seed) {}

    void layer(LayerPair& pair) override {
        if (pair.attention.constant() || pair.mlp.constant()) return;
        Overlap& numbers = numbers_[pair.index()];
        const Eigen::Index n = pair.unit().rows() / 2;
        const Matrix a = rows_.of(pair.unit(), 0), m = rows_.of(pair.unit(), n);
        const int n_groups = subject_.sample.n_groups;
        const SharedSpread spread(a, rows_.group(), m, rows_.group(), n_groups);
        numbers.overlap = spread.overlap();
        if (subject_.effects_only) return;
        numbers.deviation = spread.random_deviation();
        numbers.participation_attention = spread.participation_a();
        numbers.participation_mlp = spread.participation_b();
        numbers.same = static_cast<double>(a.cols()) /
                       std::sqrt(numbers.participation_attention * numbers.participation_mlp);
        const PairedCosine paired(a, m, rows_.group(), n_groups);
        const SharedSpread repaired(a, rows_.group(), m, rows_.group(), n_groups, false);
        numbers.cosine = paired.rms();
        numbers.cosine_repaired = repaired.rms_product();
        numbers.left_out =
            leave_out_groups(subject_, [&](std::span<const double> w) { return spread.overlap(w); });
        if (!pair.headline()) return;
        numbers.pairs_out =
            leave_out_group_pairs(subject_, [&](std::span<const double> w) { return spread.overlap(w); });
        numbers.cosine_left_out =
            leave_out_groups(subject_, [&](std::span<const double> w) { return paired.rms(w); });
        numbers.repaired_left_out =
            leave_out_groups(subject_, [&](std::span<const double> w) { return repaired.rms_product(w); });
    }

    Effect finish() override {
        Effect effect;
        effect.unmeasurable = lacks_pairs(subject_);
        if (!effect.unmeasurable.empty()) return effect;
        const PairMeans<Overlap> means(subject_, layers_, numbers_);
        effect.value = means.mean(&Overlap::overlap);
        if (std::isnan(effect.value))
            effect.unmeasurable = subject_.sample.n_groups < 2
                                      ? "one sequence only: its tokens resemble each other anyway"
                                      : "a component does not vary, so it spans no directions";
        if (subject_.effects_only) return effect;
        effect.interval = jackknife_interval(effect.value, means.left_out(&Overlap::left_out),
                                             means.left_out(&Overlap::pairs_out));
        effect.controls.push_back({"random rotations", 1 - 1.96 * deviation_of_mean()});
        if (effect.interval && effect.interval->lo >= kOrthogonalLow &&
            effect.interval->hi <= kOrthogonalHigh)
            effect.instead = "between 0.8 and 1.25, so they share as much as random directions do";
        describe(means, effect.detail);
        add_to_table();
        effect.charts.push_back(chart());
        return effect;
    }

  private:
    /// Of the mean over headline layers, each turned on its own.
    double deviation_of_mean() const {
        double variance = 0, n = 0;
        for (std::size_t i = 0; i < layers_.size(); ++i) {
            if (!subject_.headline_layer(layers_[i]) || std::isnan(numbers_[i].deviation)) continue;
            variance += numbers_[i].deviation * numbers_[i].deviation;
            ++n;
        }
        return n > 0 ? std::sqrt(variance) / n : kNoNumber;
    }

    static void describe(const PairMeans<Overlap>& means, Json& detail) {
        detail["random_deviation"] = number(means.mean(&Overlap::deviation));
        detail["same_directions"] = number(means.mean(&Overlap::same));
        detail["band"] = {kOrthogonalLow, kOrthogonalHigh};
        detail["participation_ratio"] = {{"attention", number(means.mean(&Overlap::participation_attention))},
                                         {"mlp", number(means.mean(&Overlap::participation_mlp))}};
        // Tokens that belong together against any two: how much one token's two outputs have to do with each
        // other.
        const double paired = means.mean(&Overlap::cosine), repaired = means.mean(&Overlap::cosine_repaired);
        std::vector<double> ratios;
        const auto with = means.left_out(&Overlap::cosine_left_out),
                   without = means.left_out(&Overlap::repaired_left_out);
        for (std::size_t g = 0; g < with.size(); ++g) ratios.push_back(with[g] / without[g]);
        detail["cosine_rms"] = {{"same_token", number(paired)},
                                {"tokens_repaired", number(repaired)},
                                {"ratio", number(paired / repaired)},
                                {"ratio_interval", number(jackknife_interval(paired / repaired, ratios))}};
    }

    void add_to_table() const {
        Json& table = pair_table(subject_);
        for (std::size_t i = 0; i < layers_.size(); ++i) {
            const Overlap& numbers = numbers_[i];
            Json& line = table[i];
            line["overlap"] = number(numbers.overlap);
            line["overlap_random_deviation"] = number(numbers.deviation);
            line["overlap_same_directions"] = number(numbers.same);
            line["participation_attention"] = number(numbers.participation_attention);
            line["participation_mlp"] = number(numbers.participation_mlp);
            line["cosine_rms"] = number(numbers.cosine);
            line["cosine_rms_repaired"] = number(numbers.cosine_repaired);
        }
    }

    Chart chart() const {
        ChartLine line{.name = "attention against MLP"}, chance{.name = "random rotations", .control = true},
            same{.name = "the same directions", .control = true};
        for (std::size_t i = 0; i < layers_.size(); ++i) {
            add_point(line, layers_[i], numbers_[i].overlap, numbers_[i].left_out);
            chance.value.push_back(1 - 1.96 * numbers_[i].deviation);
            same.value.push_back(numbers_[i].same);
        }
        chance.layer = same.layer = line.layer;
        return {.name = "overlap-by-layer",
                .title = "How far attention and MLP outputs share directions",
                .caption =
                    "Shared spread A by layer: 0 disjoint, 1 as random directions, and as high as the upper "
                    "line where both are the same. Random rotations: the lower 2.5 %.",
                .shape = LayerChart{.y_label = "shared spread A",
                                    .lines = {std::move(line), std::move(chance), std::move(same)},
                                    .log_y = true,
                                    .drawn_controls = {"random rotations"}}};
    }

    Subject& subject_;
    std::vector<int> layers_;
    std::vector<Overlap> numbers_;
    FewerRows rows_;
};

}  // namespace

const FindingKind findings::attn_mlp_overlap{
    .name = "attn_mlp_overlap",
    .effect_is = "shared spread of attention and MLP outputs (1: as random directions), middle layers",
    .controls = "random rotations",
    .smaller_counts = true,
    .twin_counts = true,
    .measure = [](Subject& subject) -> std::unique_ptr<Measurement> {
        return std::make_unique<AttnMlpOverlap>(subject);
    },
    .margin = {.width = kOrthogonalHigh, .no_effect = 1, .ratio = true}};

}  // namespace tomograph
