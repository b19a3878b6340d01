#include <algorithm>

#include "tomograph/base/random.h"
#include "tomograph/base/threads.h"
#include "tomograph/findings/list.h"
#include "tomograph/findings/stream_stack.h"
#include "tomograph/statistics/trajectories.h"

namespace tomograph {
namespace {

constexpr int kShuffles = 5;

class TokenPaths final : public Measurement {
  public:
    explicit TokenPaths(Subject& subject) : subject_(subject) {}

    Effect finish() override {
        Effect effect;
        const StreamStack& stack = subject_.stack();
        effect.unmeasurable = stack.why_not;
        if (!effect.unmeasurable.empty()) return effect;
        const int n_groups = subject_.sample.n_groups;
        const LayerPaths walk(stack.layers, stack.group, n_groups, subject_.threads);
        const PathShape& shape = walk.shape();
        effect.value = walk.common_direction();
        effect.detail["straightness"] = number(shape.straightness);
        effect.detail["component"] = component_name(*subject_.stream);
        if (subject_.effects_only) return effect;
        effect.interval = interval(walk, n_groups, effect.value);
        std::vector<double> shuffled(kShuffles);
        parallel_for(kShuffles, subject_.threads, [&](std::int64_t s) {
            shuffled[static_cast<std::size_t>(s)] = shuffled_common_direction(
                stack.layers, mix(subject_.options.seed, static_cast<std::uint64_t>(s)));
        });
        effect.controls.push_back(
            {"layer order shuffled by token", *std::max_element(shuffled.begin(), shuffled.end())});
        subject_.tables["trajectories"] = {{"component", component_name(*subject_.stream)},
                                           {"rows", stack.group.size()},
                                           {"layers", stack.layer_numbers()},
                                           {"step", numbers(shape.step)},
                                           {"relative_step", numbers(shape.relative_step)},
                                           {"turn", numbers(shape.turn)},
                                           {"common_direction", numbers(shape.common)},
                                           {"dispersion", numbers(shape.dispersion)},
                                           {"spread", numbers(shape.spread)},
                                           {"straightness", number(shape.straightness)}};
        add_charts(stack, shape, effect);
        return effect;
    }

  private:
    /// Fewer different tokens share more of a direction by chance, so replicates lie above the effect: only
    /// their scatter counts.
    std::optional<Interval> interval(const LayerPaths& walk, int n_groups, double effect) const {
        if (n_groups < kFewestGroups) return std::nullopt;
        std::vector<double> values(static_cast<std::size_t>(subject_.options.bootstrap));
        parallel_for(subject_.options.bootstrap, subject_.threads, [&](std::int64_t r) {
            values[static_cast<std::size_t>(r)] = walk.common_direction(
                bootstrap_weights(n_groups, subject_.options.seed, static_cast<int>(r)));
        });
        return spread_interval(effect, values, 0, 1);
    }

    static void add_charts(const StreamStack& stack, const PathShape& shape, Effect& effect) {
        ChartLine direction{.name = "shared by all tokens", .value = shape.common},
            spread{.name = "around their mean", .value = shape.spread};
        for (const Site& site : stack.sites) spread.layer.push_back(site.layer);
        direction.layer = {spread.layer.begin() + 1, spread.layer.end()};
        effect.charts.push_back(
            {.name = "steps-by-layer",
             .title = "Steps into each layer",
             .caption = "How far all tokens step in one direction into each layer: 1 is all alike, 0 none.",
             .shape = LayerChart{.y_label = "mean resultant length", .lines = {std::move(direction)}}});
        effect.charts.push_back(
            {.name = "spread-by-layer",
             .title = "Spread of the tokens' directions",
             .caption = "How far the directions of all tokens are spread, by layer: 0 is all alike, 1 evenly "
                        "spread.",
             .shape = LayerChart{.y_label = "1 - mean resultant length", .lines = {std::move(spread)}}});
    }

    Subject& subject_;
};

}  // namespace

const FindingKind findings::layer_paths{
    .name = "layer_paths",
    .effect_is = "mean resultant length of the tokens' steps between layers",
    .controls = "layer order shuffled by token",
    .twin_counts = true,
    .measure = [](Subject& subject) -> std::unique_ptr<Measurement> {
        return std::make_unique<TokenPaths>(subject);
    },
    .margin = {.width = 0.05}};

}  // namespace tomograph
