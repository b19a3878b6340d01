#include <fmt/format.h>

#include <algorithm>

#include "tomograph/findings/list.h"
#include "tomograph/findings/position_numbers.h"
#include "tomograph/findings/repeat_in_table.h"
#include "tomograph/statistics/cka.h"
#include "tomograph/statistics/coil.h"
#include "tomograph/statistics/phases.h"
#include "tomograph/statistics/positions.h"

namespace tomograph {
namespace {

Json describe(const std::vector<PairPhase>& pairs) {
    Json list = Json::array();
    for (const PairPhase& pair : pairs)
        list.push_back({{"components", {pair.first, pair.second}},
                        {"power_share", number(pair.power_share)},
                        {"turns", number(pair.turns)},
                        {"phase", number(pair.phase)}});
    return list;
}

/// A curve for drawing: its first three scores, and the position of each point.
void add_points(const MatrixD& scores, const MatrixD& position, Json& entry) {
    entry["position"] = Json::array();
    entry["scores"] = Json::array();
    for (Eigen::Index i = 0; i < scores.rows(); ++i) {
        entry["position"].push_back(number(position(i, 0)));
        Json point = Json::array();
        for (Eigen::Index c = 0; c < std::min<Eigen::Index>(3, scores.cols()); ++c)
            point.push_back(number(scores(i, c)));
        entry["scores"].push_back(std::move(point));
    }
}

Json describe(const Coil& coil) {
    Json lines = Json::array();
    for (const CoilLine& line : coil.lines)
        lines.push_back({{"turns", number(line.turns)}, {"share", number(line.share)}});
    return {{"shape", coil.shape},
            {"words", coil.words},
            {"p", number(coil.p)},
            {"turning", number(coil.turning)},
            {"chance_turning", number(coil.chance_turning)},
            {"turns", number(coil.turns)},
            {"component_turns", number(coil.component_turns)},
            {"one_way", number(coil.one_way)},
            {"roundness", number(coil.roundness)},
            {"rise_in_radii", number(coil.rise)},
            {"line_r2", number(coil.line_r2)},
            {"recurrence", number(coil.recurrence)},
            {"recurrence_lag", number(coil.recurrence_lag)},
            {"third_over_fourth_variance", number(coil.gap)},
            {"variance_ratio", numbers(coil.variance_ratio)},
            {"lines", lines}};
}

constexpr int kHelixReplicates = 40;
constexpr std::int64_t kShiftedPoints = 256;
// p can reach 0.001, which Holm's correction over all findings may ask for.
constexpr int kHelixSurrogates = 999;

class PositionHelix final : public Measurement {
  public:
    explicit PositionHelix(Subject& subject) : subject_(subject) {}

    Effect finish() override {
        Effect effect;
        const bool learned = measure_learned(effect);
        const PositionNumbers& positions = subject_.positions();
        if (learned && !subject_.effects_only) add_inheritance(effect);
        if (!positions.why_not.empty()) {
            if (!learned) effect.unmeasurable = positions.why_not;
            return effect;
        }
        const Matrix means = positions.curve.cast<float>();
        const Coil coil = measure_coil(means, options());
        if (!learned) {
            effect.detail["curve"] = positions.curve_name;
            count(coil, effect);
        }
        if (subject_.effects_only) return effect;
        if (!learned) {
            CoilOptions quick = options();
            quick.replicates = 0;
            effect.interval = positions.spread(
                subject_, std::min(kHelixReplicates, subject_.options.bootstrap), effect.value,
                [&](const MatrixD& curve) { return measure_coil(curve.cast<float>(), quick).turning; });
            effect.charts.push_back(chart(principal_scores(positions.curve),
                                          thin_curve(positions.position, kCurvePoints), coil,
                                          "Position means of the stream", "Means by position"));
        }
        const MatrixD scores = principal_scores(positions.curve);
        Json& table = position_table(subject_)["stream"];
        table["curve"] = positions.curve_name;
        table["coil"] = describe(coil);
        table["pairs"] = describe(pair_phases(scores));
        table["variance_ratio"] = numbers(positions.variance_ratio);
        add_points(scores, thin_curve(positions.position, kCurvePoints), table);
        return effect;
    }

  private:
    /// The learned table itself: exact, so its interval is a point and its surrogates decide.
    bool measure_learned(Effect& effect) {
        const Run& run = subject_.options.positions != nullptr ? *subject_.options.positions : subject_.run;
        const Site site{Component::pos_embed};
        if (!run.json().at("model").value("learned_positions", run.prompts() == "import") ||
            !run.has_site(site) || !run.has_stats() || !run.has_means(site) ||
            run.length() < kFewestPositions)
            return false;
        const Matrix whole = run.means(site);
        const TableRows rows = comparable_positions(whole);
        const Matrix table_rows = whole.middleRows(rows.first, rows.count);
        const Coil coil = measure_coil(table_rows, options());
        const MatrixD curve = thin_curve(leading_scores(table_rows, kCurveComponents), kCurvePoints);
        effect.detail = {{"curve", "pos_embed"}, {"left_out", rows.left_out}};
        count(coil, effect);
        effect.interval = Interval{effect.value, effect.value};
        if (subject_.effects_only) return true;
        const MatrixD position =
            thin_curve(Eigen::VectorXd::LinSpaced(rows.count, static_cast<double>(rows.first),
                                                  static_cast<double>(rows.first + rows.count - 1)),
                       kCurvePoints);
        Json& table = position_table(subject_)["learned"];
        table = {{"coil", describe(coil)}, {"pairs", describe(pair_phases(curve))}};
        add_points(curve, position, table);
        effect.charts.push_back(
            chart(curve, position, coil, "Learned position embeddings", "The learned position table"));
        if (auto repeated = measure_repeat_in_table(subject_, table_rows)) {
            effect.detail["repeat_in_table"] = std::move(repeated->detail);
            effect.charts.push_back(std::move(repeated->chart));
        }
        return true;
    }

    /// Does the stream of later layers have the table's shape? Means by position as unit vectors, so that one
    /// token of great norm does not rule its position, against the table's rows there.
    void add_inheritance(Effect& effect) const {
        const Run& run = subject_.run;
        const Site site{Component::pos_embed};
        if (!subject_.stream || !run.has_site(site) || !run.has_stats() || !run.has_means(site)) return;
        const TableRows rows = comparable_positions(run.means(site));
        if (rows.count < 2 * kFewestPositions) return;
        const auto curve_at = [&](const Site& of) {
            Matrix means = run.means(of).middleRows(rows.first, rows.count);
            means.rowwise().normalize();
            return Matrix(thin_curve(means.cast<double>(), kShiftedPoints).cast<float>());
        };
        const Matrix table = curve_at(site);
        ChartLine alike{.name = "the table's rows"}, shifted{.name = "positions shifted", .control = true};
        Json list = Json::array();
        for (const SiteShape& shape : run.sites()) {
            if (shape.site.component != *subject_.stream || !run.has_means(shape.site)) continue;
            const ShiftedCka found = shifted_cka(table, curve_at(shape.site), subject_.threads);
            if (std::isnan(found.value)) continue;
            list.push_back({{"layer", shape.site.layer},
                            {"cka", number(found.value)},
                            {"positions_shifted", number(found.shifted)},
                            {"p", number(found.p)}});
            alike.layer.push_back(shape.site.layer);
            alike.value.push_back(found.value);
            shifted.value.push_back(found.shifted);
        }
        if (list.empty()) return;
        shifted.layer = alike.layer;
        effect.detail["table_in_layers"] = list;
        effect.charts.push_back(
            {.name = "position-table-by-layer",
             .title = "The position table in later layers",
             .caption =
                 "Debiased CKA of the stream's means by position with the learned table, by layer; the "
                 "grey line is what 97.5 % of the table shifted against them stay below.",
             .shape = LayerChart{.y_label = "CKA with the table",
                                 .lines = {std::move(alike), std::move(shifted)}}});
    }

    /// Of a twin the turning alone.
    CoilOptions options() const {
        CoilOptions options{
            .replicates = kHelixSurrogates, .seed = subject_.options.seed, .threads = subject_.threads};
        if (subject_.effects_only) options.replicates = 0;
        return options;
    }

    void count(const Coil& coil, Effect& effect) const {
        effect.value = coil.turning;
        effect.detail["coil"] = describe(coil);
        effect.controls = {{"random curves", coil.chance_turning}};
        if (subject_.effects_only) return;
        effect.p = coil.p;
        if (coil.shape == "helix") return;
        if (coil.why_not.empty())
            effect.instead = "it is " + coil.words;
        else
            effect.unmeasurable = coil.why_not;
    }

    static Chart chart(const MatrixD& scores, const MatrixD& position, const Coil& coil,
                       const std::string& title, const std::string& what) {
        CurveChart shape{.points = MatrixD::Zero(scores.rows(), 3)};
        const Eigen::Index dims = std::min<Eigen::Index>(3, scores.cols());
        shape.points.leftCols(dims) = scores.leftCols(dims);
        shape.position.assign(position.col(0).begin(), position.col(0).end());
        return {.name = "position-curve",
                .title = title,
                .subtitle = coil.words,
                .caption = what + " on three components, consecutive positions joined.",
                .shape = std::move(shape)};
    }

    Subject& subject_;
};

}  // namespace

const FindingKind findings::position_helix{
    .name = "position_helix",
    .effect_is = "share of the curve of positions that turns one way round in one plane",
    .controls = "random curves",
    .twin_counts = true,
    .measure = [](Subject& subject) -> std::unique_ptr<Measurement> {
        return std::make_unique<PositionHelix>(subject);
    },
    .margin = {.width = 0.1, .no_effect = 0}};

}  // namespace tomograph
