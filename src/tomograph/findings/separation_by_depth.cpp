#include "tomograph/base/random.h"
#include "tomograph/findings/headline_mean.h"
#include "tomograph/findings/list.h"
#include "tomograph/statistics/components.h"

namespace tomograph {
namespace {

constexpr std::uint64_t kDepthOrders = 1000;

/// "From the middle layers on": whether the two clouds lie farther apart there than in the first layers.
class SeparationByDepth final : public Measurement {
  public:
    explicit SeparationByDepth(Subject& subject)
        : subject_(subject), layers_(paired_layers(subject)), numbers_(layers_.size()) {}

    void layer(LayerPair& pair) override {
        if (!subject_.effects_only) numbers_[pair.index()] = pair.silhouettes();
    }

    Effect finish() override {
        Effect effect;
        effect.unmeasurable = lacks_pairs(subject_);
        if (!effect.unmeasurable.empty() || subject_.effects_only) return effect;
        if (layers_.size() < 3) {
            effect.unmeasurable = layers_.size() == 1 ? "one layer only" : "two layers only: 3 are needed";
            return effect;
        }
        const auto curve = curve_of([](const auto& layer) { return layer.value; });
        effect.value = middle_less_first(curve);
        if (std::isnan(effect.value)) {
            effect.unmeasurable = "too few rows, or all are equal";
            return effect;
        }
        std::vector<double> left_out;
        for (std::size_t g = 0; g < numbers_.front().left_out.size(); ++g)
            left_out.push_back(
                middle_less_first(curve_of([&](const auto& layer) { return layer.left_out[g]; })));
        effect.interval = jackknife_interval(effect.value, left_out);
        std::vector<double> orders;
        for (std::uint64_t s = 0; s < kDepthOrders; ++s) {
            std::vector<double> mixed;
            for (const std::int64_t i :
                 permutation(static_cast<std::int64_t>(curve.size()), mix(subject_.options.seed, 0x05e7, s)))
                mixed.push_back(curve[static_cast<std::size_t>(i)]);
            orders.push_back(middle_less_first(mixed));
        }
        effect.controls = {{"no difference", 0}, {"layer order shuffled", quantile(orders, 0.975)}};
        const int half = first_at_half(curve);
        effect.detail["first_layer_at_half"] =
            half < 0 ? Json(nullptr) : Json(layers_[static_cast<std::size_t>(half)]);
        effect.detail["layers"] = layers_;
        effect.detail["by_layer"] = numbers(curve);
        return effect;
    }

  private:
    template <class Silhouette>
    std::vector<double> curve_of(Silhouette silhouette) const {
        std::vector<double> curve;
        for (const auto& layer : numbers_) curve.push_back(silhouette(layer));
        return curve;
    }

    Subject& subject_;
    std::vector<int> layers_;
    std::vector<Silhouettes> numbers_;
};

}  // namespace

const FindingKind findings::separation_by_depth{
    .name = "separation_by_depth",
    .effect_is = "cosine silhouette of the middle half of the layers less that of the first quarter",
    .controls = "no difference, layer order shuffled",
    .measure = [](Subject& subject) -> std::unique_ptr<Measurement> {
        return std::make_unique<SeparationByDepth>(subject);
    },
    .shown_by = &findings::attn_mlp_separation,
    .margin = {.width = 0.02, .no_effect = 0}};

}  // namespace tomograph
