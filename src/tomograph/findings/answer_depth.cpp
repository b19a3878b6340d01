#include <fmt/format.h>

#include "tomograph/findings/lens_table.h"
#include "tomograph/findings/list.h"
#include "tomograph/findings/subject.h"

namespace tomograph {
namespace {

/// How deep the stream must be read before it says half of the answer, through ridge lenses.
class DepthOfAnswer final : public Measurement {
  public:
    explicit DepthOfAnswer(Subject& subject) : subject_(subject) {}

    Effect finish() override {
        Effect effect;
        const auto table = load_lens(subject_.run);
        if (!table) {
            effect.unmeasurable = "no lens was made: tomograph lens " + subject_.run.path().string();
            return effect;
        }
        const auto share = [&](bool shifted, std::span<const double> weights = {}) {
            return depth_share(answer_depth(*table, LensKind::ridge, shifted, weights).by_kl,
                               table->n_layers);
        };
        effect.value = share(false);
        if (subject_.effects_only) return effect;
        effect.controls.push_back({"shifted tokens", share(true)});
        BootstrapOptions of_a_share = subject_.bootstrap();
        of_a_share.least = 0, of_a_share.most = 1;
        effect.interval =
            tomograph::bootstrap(static_cast<int>(table->sequences.size()), of_a_share,
                                 [&](std::span<const double> weights) { return share(false, weights); });
        effect.detail = {{"tokens", table->n_rows()}, {"sequences", table->sequences.size()}};
        for (const LensKind lens : {LensKind::logit, LensKind::ridge}) {
            const AnswerDepth depth = answer_depth(*table, lens);
            const auto layer = [](int at) { return at < 0 ? Json(nullptr) : Json(at); };
            effect.detail[lens_name(lens)] = {{"layer_by_kl", layer(depth.by_kl)},
                                              {"layer_by_top", layer(depth.by_top)}};
        }
        effect.charts = lens_charts(*table, {});
        return effect;
    }

  private:
    Subject& subject_;
};

}  // namespace

const FindingKind findings::answer_depth{
    .name = "answer_depth",
    .effect_is =
        "share of the layers after which the stream says half of the final answer, through a ridge lens",
    .controls = "shifted tokens",
    .smaller_counts = true,
    .twin_counts = true,
    .measure = [](Subject& subject) -> std::unique_ptr<Measurement> {
        return std::make_unique<DepthOfAnswer>(subject);
    },
    .margin = {.width = 0.05, .no_effect = 1}};

}  // namespace tomograph
