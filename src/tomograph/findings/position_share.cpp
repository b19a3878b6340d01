#include <algorithm>
#include <cmath>

#include "tomograph/base/threads.h"
#include "tomograph/findings/headline_mean.h"
#include "tomograph/findings/list.h"
#include "tomograph/findings/position_numbers.h"

namespace tomograph {
namespace {

class PositionShare final : public Measurement {
  public:
    explicit PositionShare(Subject& subject) : subject_(subject) {}

    Effect finish() override {
        Effect effect;
        if (!subject_.effects_only) add_site_shares();
        const PositionNumbers& positions = subject_.positions();
        effect.unmeasurable = positions.why_not;
        if (!effect.unmeasurable.empty()) return effect;
        // Eta squared counts chance too: means of few sequences differ by position whatever it does.
        effect.value = positions.mean_shared;
        effect.detail = {{"layers", Json::array()},
                         {"by_layer", numbers(positions.shared)},
                         {"eta2", number(mean_of(positions.eta2))},
                         {"eta2_shuffled", number(mean_of(positions.shuffled))},
                         {"split", split(positions)}};
        for (const Site& site : positions.sites) effect.detail["layers"].push_back(site.layer);
        if (std::isnan(effect.value)) effect.unmeasurable = "the rows do not vary";
        if (subject_.effects_only) return effect;
        effect.interval =
            jackknife_interval(effect.value, positions.shared_left_out, positions.shared_pairs_out);
        effect.controls.push_back({"positions shuffled", 0});
        add_to_table(positions);
        effect.charts.push_back(chart(positions));
        effect.charts.push_back(split_chart(positions));
        return effect;
    }

  private:
    /// What position explains at each site over all tokens, from the norms and the means by position.
    void add_site_shares() const {
        const Run& run = subject_.run;
        if (!run.has_stats() || run.json().contains("means_without_label")) return;
        const auto length = static_cast<std::size_t>(run.length());
        parallel_for(std::ssize(subject_.sites), subject_.threads, [&](std::int64_t at) {
            const auto i = static_cast<std::size_t>(at);
            if (!run.has_means(subject_.sites[i])) return;
            const auto norms = run.norms(subject_.sites[i]);
            std::vector<double> counts(length, 0.0), squares(length, 0.0);
            for (std::size_t t = 0; t < norms.size(); ++t) {
                const auto p = static_cast<std::size_t>(run.tokens().position[t]);
                squares[p] += static_cast<double>(norms[t]) * norms[t];
                counts[p] += 1;
            }
            const Matrix means = run.means(subject_.sites[i]);
            double between = 0, total = 0, n = 0;
            Eigen::RowVectorXd sum = Eigen::RowVectorXd::Zero(means.cols());
            for (std::size_t p = 1; p < length; ++p) {
                const Eigen::RowVectorXd mean = means.row(static_cast<Eigen::Index>(p)).cast<double>();
                between += counts[p] * mean.squaredNorm();
                sum += counts[p] * mean;
                total += squares[p];
                n += counts[p];
            }
            if (n < 2) return;
            const double offset = sum.squaredNorm() / n;
            subject_.site_lines[i]["position_eta2"] =
                number(total - offset > 1e-9 * total ? (between - offset) / (total - offset) : kNoNumber);
        });
    }

    void add_to_table(const PositionNumbers& positions) const {
        Json& table = position_table(subject_);
        table["sequences"] = positions.n_sequences;
        table["positions"] = positions.n_positions;
        table["by_layer"] = Json::array();
        for (std::size_t l = 0; l < positions.sites.size(); ++l)
            table["by_layer"].push_back({{"layer", positions.sites[l].layer},
                                         {"shared", number(positions.shared[l])},
                                         {"eta2", number(positions.eta2[l])},
                                         {"eta2_shuffled", number(positions.shuffled[l])},
                                         {"split", describe(positions.split[l])}});
    }

    static Json describe(const PositionTable::Split& split) {
        return {{"mean", number(split.mean)},
                {"position", number(split.position)},
                {"context", number(split.context)},
                {"residual", number(split.residual)}};
    }

    /// The mean squared norm of the middle layers, by what rows share.
    static Json split(const PositionNumbers& positions) {
        PositionTable::Split mean;
        const auto n = static_cast<double>(positions.split.size());
        for (const auto part : {&PositionTable::Split::mean, &PositionTable::Split::position,
                                &PositionTable::Split::context, &PositionTable::Split::residual}) {
            mean.*part = 0;
            for (const PositionTable::Split& layer : positions.split) mean.*part += layer.*part / n;
        }
        return describe(mean);
    }

    static Chart chart(const PositionNumbers& positions) {
        ChartLine share{.name = "shared by position", .value = positions.shared},
            eta2{.name = "eta squared", .value = positions.eta2, .control = true},
            chance{.name = "eta squared, shuffled", .value = positions.shuffled, .control = true};
        for (const Site& site : positions.sites) share.layer.push_back(site.layer);
        eta2.layer = chance.layer = share.layer;
        return {.name = "position-share-by-layer",
                .title = "What position explains",
                .caption =
                    "Share of the stream's variance that sequences have in common by position, by layer; "
                    "the first token left out. Eta squared holds what chance adds as well.",
                .shape = LayerChart{.y_label = "share of variance",
                                    .lines = {std::move(share), std::move(eta2), std::move(chance)}}};
    }

    static Chart split_chart(const PositionNumbers& positions) {
        LayerChart shape{.y_label = "share of squared norm"};
        const auto add = [&](const char* name, double PositionTable::Split::*part) {
            ChartLine line{.name = name};
            for (std::size_t l = 0; l < positions.sites.size(); ++l) {
                line.layer.push_back(positions.sites[l].layer);
                line.value.push_back(positions.split[l].*part);
            }
            shape.lines.push_back(std::move(line));
        };
        add("shared by all", &PositionTable::Split::mean);
        add("by position", &PositionTable::Split::position);
        add("by sequence", &PositionTable::Split::context);
        add("the token's own", &PositionTable::Split::residual);
        return {.name = "position-split-by-layer",
                .title = "What the stream's tokens share",
                .caption =
                    "The mean squared norm of unit vectors by what rows have in common, by layer: all, "
                    "those of one position, those of one sequence, and the rest.",
                .shape = std::move(shape)};
    }

    Subject& subject_;
};

}  // namespace

const FindingKind findings::position_share{
    .name = "position_share",
    .effect_is = "share of variance that sequences have in common by position, middle layers",
    .controls = "positions shuffled",
    .twin_counts = true,
    .measure = [](Subject& subject) -> std::unique_ptr<Measurement> {
        return std::make_unique<PositionShare>(subject);
    },
    .margin = {.width = 0.02}};

}  // namespace tomograph
