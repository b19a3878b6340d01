#include <algorithm>
#include <cmath>

#include "tomograph/findings/headline_mean.h"
#include "tomograph/findings/list.h"
#include "tomograph/findings/pair_means.h"
#include "tomograph/statistics/clouds.h"
#include "tomograph/statistics/probe.h"

namespace tomograph {
namespace {

constexpr int kMostFolds = 5;
constexpr int kProbeShuffles = 5;  // each costs a fit

struct Separation {
    double silhouette = kNoNumber, davies_bouldin = kNoNumber, calinski_harabasz = kNoNumber,
           probe = kNoNumber;
    double shuffled_silhouette = kNoNumber, shuffled_probe = kNoNumber;
    std::vector<double> silhouette_left_out, probe_left_out;
};

class AttnMlpSeparation final : public Measurement {
  public:
    explicit AttnMlpSeparation(Subject& subject)
        : subject_(subject), layers_(paired_layers(subject)), numbers_(layers_.size()) {}

    void layer(LayerPair& pair) override {
        Separation& numbers = numbers_[pair.index()];
        const Silhouettes& silhouettes = pair.silhouettes();
        numbers.silhouette = silhouettes.value;
        probe(pair, numbers);
        if (subject_.effects_only) return;
        const Eigen::Index n = pair.unit().rows() / 2;
        const CloudScores scores = compare_clouds(pair.unit().topRows(n), pair.unit().bottomRows(n));
        numbers.davies_bouldin = scores.davies_bouldin;
        numbers.calinski_harabasz = scores.calinski_harabasz;
        numbers.shuffled_silhouette = silhouettes.shuffled;
        numbers.silhouette_left_out = silhouettes.left_out;
    }

    Effect finish() override {
        Effect effect;
        effect.unmeasurable = lacks_pairs(subject_);
        if (!effect.unmeasurable.empty()) return effect;
        const PairMeans<Separation> means(subject_, layers_, numbers_);
        effect.value = means.mean(&Separation::silhouette);
        effect.interval = jackknife_interval(effect.value, means.left_out(&Separation::silhouette_left_out));
        effect.detail["probe_balanced_accuracy"] = number(means.mean(&Separation::probe));
        effect.detail["davies_bouldin"] = number(means.mean(&Separation::davies_bouldin));
        effect.detail["calinski_harabasz"] = number(means.mean(&Separation::calinski_harabasz));
        if (std::isnan(effect.value)) effect.unmeasurable = "too few rows, or all are equal";
        if (subject_.effects_only) return effect;
        effect.controls.push_back({"labels shuffled", means.mean(&Separation::shuffled_silhouette)});
        effect.detail["probe_interval"] = number(
            jackknife_interval(means.mean(&Separation::probe), means.left_out(&Separation::probe_left_out)));
        effect.detail["probe_labels_shuffled"] = number(means.mean(&Separation::shuffled_probe));
        add_to_table();
        effect.charts.push_back(chart());
        return effect;
    }

  private:
    void probe(LayerPair& pair, Separation& numbers) const {
        const SampleRows& sample = subject_.sample;
        if (sample.n_groups < 2) return;
        const Matrix& unit = pair.unit();
        const std::uint64_t seed = subject_.options.seed;
        const int n_folds = std::min(kMostFolds, sample.n_groups),
                  shuffles = subject_.effects_only ? 0 : kProbeShuffles;
        std::vector<std::int32_t> fold;
        for (const std::int32_t g : pair.group()) fold.push_back(g % n_folds);
        Matrix labels(unit.rows(), 1 + shuffles);
        for (int s = 0; s <= shuffles; ++s) {
            const auto column = pair_labels(unit.rows() / 2, seed, s);
            for (Eigen::Index i = 0; i < unit.rows(); ++i)
                labels(i, s) = column[static_cast<std::size_t>(i)] == 0 ? -1.0f : 1.0f;
        }
        const Matrix decisions = probe_decisions(unit, labels, fold);
        numbers.probe = balanced_accuracy(decisions.col(0), labels.col(0));
        if (subject_.effects_only) return;
        for (int s = 1; s <= shuffles; ++s) {
            const double accuracy = balanced_accuracy(decisions.col(s), labels.col(s));
            numbers.shuffled_probe = s == 1 ? accuracy : std::max(numbers.shuffled_probe, accuracy);
        }
        MatrixD hits = MatrixD::Zero(sample.n_groups, 2), counts = hits;
        for (Eigen::Index i = 0; i < unit.rows(); ++i) {
            const Eigen::Index label = labels(i, 0) > 0 ? 1 : 0;
            const std::int32_t g = pair.group()[static_cast<std::size_t>(i)];
            counts(g, label) += 1;
            hits(g, label) += (decisions(i, 0) > 0) == (label == 1);
        }
        numbers.probe_left_out = leave_out_groups(subject_, [&](std::span<const double> weights) {
            const Eigen::RowVectorXd w =
                Eigen::Map<const Eigen::RowVectorXd>(weights.data(), sample.n_groups);
            return (w * hits).cwiseQuotient(w * counts).mean();
        });
    }

    void add_to_table() const {
        Json& table = pair_table(subject_);
        for (std::size_t i = 0; i < layers_.size(); ++i) {
            Json& line = table[i];
            line["silhouette"] = number(numbers_[i].silhouette);
            line["silhouette_shuffled"] = number(numbers_[i].shuffled_silhouette);
            line["davies_bouldin"] = number(numbers_[i].davies_bouldin);
            line["calinski_harabasz"] = number(numbers_[i].calinski_harabasz);
            line["probe"] = number(numbers_[i].probe);
            line["probe_shuffled"] = number(numbers_[i].shuffled_probe);
        }
    }

    Chart chart() const {
        ChartLine line{.name = "attention against MLP"}, chance{.name = "labels shuffled", .control = true};
        for (std::size_t i = 0; i < layers_.size(); ++i) {
            add_point(line, layers_[i], numbers_[i].silhouette, numbers_[i].silhouette_left_out);
            chance.value.push_back(numbers_[i].shuffled_silhouette);
        }
        chance.layer = line.layer;
        return {.name = "separation-by-layer",
                .title = "How far attention and MLP outputs lie apart",
                .caption =
                    "Silhouette of the two clouds by layer; above 0 they are apart. Level lines: the "
                    "controls, over the layers that the finding is measured at.",
                .shape = LayerChart{.y_label = "cosine silhouette",
                                    .lines = {std::move(line), std::move(chance)},
                                    .drawn_controls = {"labels shuffled"}}};
    }

    Subject& subject_;
    std::vector<int> layers_;
    std::vector<Separation> numbers_;
};

}  // namespace

const FindingKind findings::attn_mlp_separation{
    .name = "attn_mlp_separation",
    .effect_is = "cosine silhouette of attention against MLP outputs, middle layers",
    .controls = "labels shuffled",
    .twin_counts = true,
    .measure = [](Subject& subject) -> std::unique_ptr<Measurement> {
        return std::make_unique<AttnMlpSeparation>(subject);
    },
    .margin = {.width = 0.02, .no_effect = 0}};

}  // namespace tomograph
