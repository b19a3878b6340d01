#include <algorithm>
#include <cmath>

#include "tomograph/findings/fewer_rows.h"
#include "tomograph/findings/headline_mean.h"
#include "tomograph/findings/list.h"
#include "tomograph/findings/pair_means.h"
#include "tomograph/statistics/components.h"
#include "tomograph/statistics/inference.h"

namespace tomograph {
namespace {

constexpr std::int64_t kMostBytes = 150'000'000;  // of rows that are kept until all layers are read
constexpr std::int64_t kDirectionRows = 1500;
constexpr int kDirectionShuffles = 40;

/// One direction that tells attention's outputs from the MLP's at every layer: a probe that is fitted to some
/// layers and decides others; and how much of the variance goes with the component whatever the layer.
class AttnMlpDirection final : public Measurement {
  public:
    explicit AttnMlpDirection(Subject& subject) : subject_(subject) {
        for (const int layer : paired_layers(subject)) {
            if (subject.headline_layer(layer)) layers_.push_back(layer);
        }
        const auto n_layers = static_cast<std::int64_t>(layers_.size());
        const std::int64_t affordable =
            kMostBytes / (8 * subject.run.d_model() * std::max<std::int64_t>(1, n_layers));
        const std::int64_t most = std::clamp<std::int64_t>(affordable, 64, kDirectionRows);
        rows_ = FewerRows(subject, most, subject.options.seed);
        attention_.resize(layers_.size());
        mlp_.resize(layers_.size());
    }

    void layer(LayerPair& pair) override {
        const auto found = std::ranges::find(layers_, pair.layer());
        if (found == layers_.end()) return;
        const auto at = static_cast<std::size_t>(found - layers_.begin());
        attention_[at] = rows_.of(pair.unit(), 0);
        mlp_[at] = rows_.of(pair.unit(), pair.unit().rows() / 2);
    }

    Effect finish() override {
        Effect effect;
        effect.unmeasurable = lacks_pairs(subject_);
        const int n_groups = subject_.sample.n_groups;
        if (effect.unmeasurable.empty() && layers_.size() < 2)
            effect.unmeasurable = "one middle layer only: a direction shared by layers needs two";
        if (effect.unmeasurable.empty() && n_groups < 2)
            effect.unmeasurable = "one sequence only: a probe needs others to be decided on";
        if (effect.unmeasurable.empty() &&
            std::ranges::any_of(attention_, [](const Matrix& rows) { return rows.rows() == 0; }))
            effect.unmeasurable = "too few rows";
        if (!effect.unmeasurable.empty()) return effect;
        const int most_folds = subject_.run.d_model() > 2048 ? 2 : 5;  // each holds second moments
        const LeftOutLayersProbe probe(attention_, mlp_, rows_.group(), n_groups,
                                       std::min(most_folds, n_groups),
                                       subject_.effects_only ? 0 : kDirectionShuffles, subject_.options.seed);
        effect.value = probe.accuracy();
        add_shares(effect.detail);
        if (subject_.effects_only) return effect;
        effect.interval = jackknife_interval(
            effect.value,
            leave_out_groups(subject_, [&](std::span<const double> w) { return probe.accuracy(w); }));
        effect.controls.push_back({"labels shuffled", quantile(probe.shuffled(), 0.975)});
        effect.detail["layers"] = layers_;
        effect.detail["by_layer"] = numbers(probe.by_layer());
        effect.detail["rows"] = rows_.size();
        effect.charts.push_back(chart(probe));
        return effect;
    }

  private:
    /// Shares of the variance of all unit vectors that go with the component, the layer, and both.
    void add_shares(Json& detail) const {
        const auto n_layers = static_cast<Eigen::Index>(layers_.size());
        const auto n_groups = static_cast<std::size_t>(subject_.sample.n_groups);
        std::vector<MatrixD> sums(n_groups, MatrixD::Zero(2 * n_layers, attention_.front().cols()));
        std::vector<double> squares(n_groups, 0.0), counts = squares;
        for (Eigen::Index l = 0; l < n_layers; ++l) {
            for (Eigen::Index side = 0; side < 2; ++side) {
                const Matrix& rows = (side == 0 ? attention_ : mlp_)[static_cast<std::size_t>(l)];
                for (Eigen::Index i = 0; i < rows.rows(); ++i) {
                    const auto g = static_cast<std::size_t>(rows_.group()[static_cast<std::size_t>(i)]);
                    sums[g].row(side * n_layers + l) += rows.row(i).cast<double>();
                    squares[g] += rows.row(i).cast<double>().squaredNorm();
                    if (l == 0 && side == 0) counts[g] += 1;
                }
            }
        }
        const auto shares = [&](std::span<const double> w) {
            MatrixD cells = MatrixD::Zero(2 * n_layers, sums.front().cols());
            double all = 0, count = 0;
            for (std::size_t g = 0; g < n_groups; ++g) {
                if (w[g] == 0) continue;
                cells += sums[g];
                all += squares[g];
                count += counts[g];
            }
            return two_way_shares(cells, 2, static_cast<int>(n_layers), count, all);
        };
        const TwoWayShares of_all = shares(std::vector<double>(n_groups, 1.0));
        Json& list = detail["eta2"];
        const auto add = [&](const char* name, double TwoWayShares::*share) {
            list[name] = number(of_all.*share);
            if (subject_.effects_only || share == &TwoWayShares::residual) return;
            list[std::string(name) + "_interval"] = number(jackknife_interval(
                of_all.*share,
                leave_out_groups(subject_, [&](std::span<const double> w) { return shares(w).*share; })));
        };
        add("component", &TwoWayShares::row);
        add("layer", &TwoWayShares::column);
        add("interaction", &TwoWayShares::interaction);
        add("residual", &TwoWayShares::residual);
    }

    Chart chart(const LeftOutLayersProbe& probe) const {
        ChartLine line{.name = "probe of other layers", .value = probe.by_layer()};
        line.layer.assign(layers_.begin(), layers_.end());
        return {.name = "direction-by-layer",
                .title = "One direction from layer to layer",
                .caption =
                    "Balanced accuracy with which a probe tells attention from MLP outputs at a layer, by "
                    "layer; it was fitted to every second of the other layers, on other sequences. 0.5 is "
                    "chance.",
                .shape = LayerChart{.y_label = "balanced accuracy", .lines = {std::move(line)}}};
    }

    Subject& subject_;
    std::vector<int> layers_;  // headline layers with both outputs
    FewerRows rows_;
    std::vector<Matrix> attention_, mlp_;  // by layer: unit vectors
};

}  // namespace

const FindingKind findings::attn_mlp_direction{
    .name = "attn_mlp_direction",
    .effect_is = "balanced accuracy of a probe for attention against MLP at layers it was not fitted to",
    .controls = "labels shuffled",
    .twin_counts = true,
    .measure = [](Subject& subject) -> std::unique_ptr<Measurement> {
        return std::make_unique<AttnMlpDirection>(subject);
    },
    .margin = {.width = 0.02, .no_effect = 0.5}};

}  // namespace tomograph
