#include <algorithm>

#include "tomograph/base/random.h"
#include "tomograph/base/threads.h"
#include "tomograph/findings/headline_mean.h"
#include "tomograph/findings/list.h"
#include "tomograph/findings/stream_stack.h"
#include "tomograph/statistics/trajectories.h"

namespace tomograph {
namespace {

constexpr int kPathShuffles = 5;

class TokenPaths final : public Measurement {
  public:
    explicit TokenPaths(Subject& subject) : subject_(subject) {}

    Effect finish() override {
        Effect effect;
        const StreamStack& stack = subject_.stack();
        effect.unmeasurable = stack.why_not;
        if (!effect.unmeasurable.empty()) return effect;
        const LayerPaths walk(stack.layers, stack.group, subject_.sample.n_groups, subject_.threads);
        const PathShape& shape = walk.shape();
        effect.value = walk.common_direction();
        effect.detail["straightness"] = number(shape.straightness);
        effect.detail["component"] = component_name(*subject_.stream);
        if (subject_.effects_only) return effect;
        effect.interval = jackknife_interval(
            effect.value,
            leave_out_groups(subject_, [&](std::span<const double> w) { return walk.common_direction(w); }));
        std::vector<double> shuffled(kPathShuffles);
        parallel_for(kPathShuffles, subject_.threads, [&](std::int64_t s) {
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
                                           {"straightness", number(shape.straightness)}};
        add_chart(stack, shape, effect);
        return effect;
    }

  private:
    static void add_chart(const StreamStack& stack, const PathShape& shape, Effect& effect) {
        ChartLine direction{.name = "shared by all tokens", .value = shape.common};
        for (std::size_t l = 1; l < stack.sites.size(); ++l) direction.layer.push_back(stack.sites[l].layer);
        effect.charts.push_back(
            {.name = "steps-by-layer",
             .title = "Steps into each layer",
             .caption = "How far all tokens step in one direction into each layer: 1 is all alike, 0 none.",
             .shape = LayerChart{.y_label = "mean resultant length", .lines = {std::move(direction)}}});
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
