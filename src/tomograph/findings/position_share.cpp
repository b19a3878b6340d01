#include <algorithm>
#include <cmath>

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
        effect.value = mean_of(positions.eta2);
        effect.detail = {{"layers", Json::array()},
                         {"by_layer", numbers(positions.eta2)},
                         {"shared", number(positions.mean_shared)}};
        for (const Site& site : positions.sites) effect.detail["layers"].push_back(site.layer);
        if (std::isnan(effect.value)) effect.unmeasurable = "the rows do not vary";
        if (subject_.effects_only) return effect;
        // The interval comes from the bias-free share, mapped to what eta squared makes of it.
        const auto n = static_cast<double>(positions.n_sequences);
        if (positions.n_groups >= kFewestGroups) {
            const double shift = effect.value - (positions.mean_shared + (1 - positions.mean_shared) / n);
            const auto mapped = [&](double s) { return s + (1 - s) / n + shift; };
            effect.interval = Interval{mapped(quantile(positions.shared_replicates, 0.025)),
                                       mapped(quantile(positions.shared_replicates, 0.975))};
        }
        effect.controls.push_back({"positions shuffled within sequence", mean_of(positions.shuffled)});
        add_to_table(positions);
        effect.charts.push_back(chart(positions));
        return effect;
    }

  private:
    /// What position explains at each site over all tokens, from the norms and the means by position.
    void add_site_shares() const {
        const Run& run = subject_.run;
        if (!run.has_stats() || run.json().contains("means_without_label")) return;
        const auto length = static_cast<std::size_t>(run.length());
        for (std::size_t i = 0; i < subject_.sites.size(); ++i) {
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
            if (n < 2) continue;
            const double offset = sum.squaredNorm() / n;
            subject_.site_lines[i]["position_eta2"] =
                number(total - offset > 1e-9 * total ? (between - offset) / (total - offset) : kNoNumber);
        }
    }

    void add_to_table(const PositionNumbers& positions) const {
        Json& table = position_table(subject_);
        table["sequences"] = positions.n_sequences;
        table["positions"] = positions.n_positions;
        table["by_layer"] = Json::array();
        for (std::size_t l = 0; l < positions.sites.size(); ++l)
            table["by_layer"].push_back({{"layer", positions.sites[l].layer},
                                         {"eta2", number(positions.eta2[l])},
                                         {"shared", number(positions.shared[l])},
                                         {"shuffled", number(positions.shuffled[l])}});
    }

    static Chart chart(const PositionNumbers& positions) {
        ChartLine share{.name = "position", .value = positions.eta2},
            chance{.name = "positions shuffled", .value = positions.shuffled, .control = true};
        for (const Site& site : positions.sites) share.layer.push_back(site.layer);
        chance.layer = share.layer;
        return {
            .name = "position-share-by-layer",
            .title = "What position explains",
            .caption =
                "Share of the stream's variance that position explains, by layer; the first token left out.",
            .shape = LayerChart{.y_label = "share of variance",
                                .lines = {std::move(share), std::move(chance)},
                                .drawn_controls = {"positions shuffled within sequence"}}};
    }

    Subject& subject_;
};

}  // namespace

const FindingKind findings::position_share{
    .name = "position_share",
    .effect_is = "share of variance explained by position, middle layers",
    .controls = "positions shuffled within sequence",
    .twin_counts = true,
    .measure = [](Subject& subject) -> std::unique_ptr<Measurement> {
        return std::make_unique<PositionShare>(subject);
    },
    .margin = {.width = 0.02}};

}  // namespace tomograph
