#include <algorithm>
#include <cmath>

#include "tomograph/base/random.h"
#include "tomograph/base/threads.h"
#include "tomograph/findings/headline_mean.h"
#include "tomograph/findings/list.h"
#include "tomograph/findings/stream_stack.h"
#include "tomograph/statistics/clouds.h"
#include "tomograph/statistics/components.h"
#include "tomograph/statistics/trajectories.h"

namespace tomograph {
namespace {

constexpr std::uint64_t kSpreadOrders = 1000;

/// What both claims have at least: the middle above the first layer, and the last below the middle.
double weaker(std::span<const double> by_layer) {
    const SpreadTighten change = spread_then_tighten(by_layer);
    return std::min(change.rise, -change.fall);
}

/// Dispersion by layer, of all rows and without each group.
struct Curve {
    std::vector<double> all;
    std::vector<std::vector<double>> left_out;  ///< [groups] of [layers]
};

/// Tokens lie close together in the first layer, spread, and come together again in the last.
class SpreadAndTighten final : public Measurement {
  public:
    explicit SpreadAndTighten(Subject& subject) : subject_(subject) {}

    Effect finish() override {
        Effect effect;
        const StreamStack& stack = subject_.stack();
        effect.unmeasurable = stack.why_not;
        if (effect.unmeasurable.empty() && stack.sites.size() < 3)
            effect.unmeasurable = "two layers only: 3 are needed";
        if (!effect.unmeasurable.empty()) return effect;
        const Curve unit = dispersion(stack, true);
        if (!std::ranges::all_of(unit.all, [](double value) { return value > 0; })) {
            effect.unmeasurable = "the tokens of a layer are all alike";
            return effect;
        }
        set_weaker(unit, effect);
        const Curve raw = dispersion(stack, false);
        effect.detail["raw_vectors"] = describe(raw);
        if (subject_.effects_only) return effect;
        effect.detail["unit_vectors"] = describe(unit);
        effect.detail["layers"] = stack.layer_numbers();
        effect.detail["peak_layer"] = layer_of_peak(stack, unit);
        effect.detail["raw_peak_layer"] = layer_of_peak(stack, raw);
        std::vector<double> orders;
        for (std::uint64_t s = 0; s < kSpreadOrders; ++s) {
            std::vector<double> mixed;
            for (const std::int64_t i : permutation(static_cast<std::int64_t>(unit.all.size()),
                                                    mix(subject_.options.seed, 0x59ead, s)))
                mixed.push_back(unit.all[static_cast<std::size_t>(i)]);
            orders.push_back(weaker(mixed));
        }
        effect.controls = {{"no change", 0}, {"layer order shuffled", quantile(orders, 0.975)}};
        Json& table = subject_.tables["dispersion"];
        table = {{"component", component_name(*subject_.stream)},
                 {"rows", stack.group.size()},
                 {"layers", stack.layer_numbers()},
                 {"unit_vectors", numbers(unit.all)},
                 {"raw_vectors", numbers(raw.all)}};
        effect.charts.push_back(chart(stack, unit, raw));
        return effect;
    }

  private:
    Curve dispersion(const StreamStack& stack, bool unit) const {
        const std::size_t n_layers = stack.layers.size();
        const int n_groups = subject_.sample.n_groups;
        std::vector<std::vector<double>> left_out(n_layers);
        Curve curve;
        curve.all.resize(n_layers);
        parallel_for(static_cast<std::int64_t>(n_layers), subject_.threads, [&](std::int64_t l) {
            const auto at = static_cast<std::size_t>(l);
            const Dispersion of(unit ? unit_rows(stack.layers[at]) : stack.layers[at], stack.group, n_groups);
            curve.all[at] = of.value();
            if (!subject_.effects_only)
                left_out[at] =
                    leave_out_groups(subject_, [&](std::span<const double> w) { return of.value(w); });
        });
        for (std::size_t g = 0; g < left_out.front().size(); ++g) {
            curve.left_out.emplace_back();
            for (const auto& layer : left_out) curve.left_out.back().push_back(layer[g]);
        }
        return curve;
    }

    static std::optional<Interval> interval(const Curve& curve,
                                            double (*statistic)(std::span<const double>)) {
        std::vector<double> values;
        for (const auto& without : curve.left_out) values.push_back(statistic(without));
        return jackknife_interval(statistic(curve.all), values);
    }
    static double rise(std::span<const double> curve) { return spread_then_tighten(curve).rise; }
    static double tightening(std::span<const double> curve) { return -spread_then_tighten(curve).fall; }

    /// Both must hold, so the one whose interval reaches lower speaks for them.
    static void set_weaker(const Curve& curve, Effect& effect) {
        const auto of_rise = interval(curve, rise), of_fall = interval(curve, tightening);
        effect.value = weaker(curve.all);
        if (!of_rise || !of_fall) return;
        const bool first = of_rise->lo < of_fall->lo;
        effect.value = first ? rise(curve.all) : tightening(curve.all);
        effect.interval = first ? of_rise : of_fall;
    }

    Json describe(const Curve& curve) const {
        Json entry = {{"rise", number(rise(curve.all))}, {"tightening", number(tightening(curve.all))}};
        if (subject_.effects_only) return entry;
        entry["rise_interval"] = number(interval(curve, rise));
        entry["tightening_interval"] = number(interval(curve, tightening));
        return entry;
    }

    static int layer_of_peak(const StreamStack& stack, const Curve& curve) {
        return stack.sites[static_cast<std::size_t>(spread_then_tighten(curve.all).peak)].layer;
    }

    static Chart chart(const StreamStack& stack, const Curve& unit, const Curve& raw) {
        ChartLine directions{.name = "unit vectors"}, vectors{.name = "raw vectors"};
        for (std::size_t l = 0; l < stack.sites.size(); ++l) {
            for (const auto& [line, curve] : {std::pair{&directions, &unit}, std::pair{&vectors, &raw}}) {
                std::vector<double> without;
                for (const auto& left_out : curve->left_out)
                    without.push_back(left_out[l] / left_out.front());
                add_point(*line, stack.sites[l].layer, curve->all[l] / curve->all.front(), without);
            }
        }
        return {.name = "spread-by-layer",
                .title = "Spread of the tokens",
                .caption =
                    "Root mean square distance of all tokens from their mean, by layer, over that of the "
                    "first layer.",
                .shape =
                    LayerChart{.y_label = "times the first layer's",
                               .lines = {std::move(directions), std::move(vectors)},
                               .log_y = true,
                               // They are logarithms of ratios of these lines' points, no heights among them.
                               .drawn_controls = {"no change", "layer order shuffled", "twins"}}};
    }

    Subject& subject_;
};

}  // namespace

const FindingKind findings::spread_tighten{
    .name = "spread_tighten",
    .effect_is =
        "logarithm of how far the tokens' directions spread after the first layer and tighten in the "
        "last, the weaker of the two",
    .controls = "no change, layer order shuffled",
    .twin_counts = true,
    .measure = [](Subject& subject) -> std::unique_ptr<Measurement> {
        return std::make_unique<SpreadAndTighten>(subject);
    },
    .margin = {.width = 0.05, .no_effect = 0}};

}  // namespace tomograph
