#include "tomograph/base/random.h"
#include "tomograph/findings/headline_mean.h"
#include "tomograph/findings/list.h"

namespace tomograph {
namespace {

constexpr std::uint64_t kOrders = 1000;

/// The first layer from which all later ones split; `size` where the last does not.
std::size_t onset_of(const std::vector<bool>& splits) {
    std::size_t onset = splits.size();
    while (onset > 0 && splits[onset - 1]) --onset;
    return onset;
}

class SeparationOnset final : public Measurement {
  public:
    explicit SeparationOnset(Subject& subject)
        : subject_(subject), layers_(paired_layers(subject)), numbers_(layers_.size()) {}

    void layer(LayerPair& pair) override {
        if (!subject_.effects_only) numbers_[pair.index()] = pair.silhouettes();
    }

    Effect finish() override {
        Effect effect;
        effect.unmeasurable = lacks_pairs(subject_);
        if (!effect.unmeasurable.empty() || subject_.effects_only) return effect;
        const std::size_t n = layers_.size();
        if (n < 2) {
            effect.unmeasurable = "one layer only";
            return effect;
        }
        const auto splits = splits_in([](const auto& layer) { return layer.value; });
        const std::size_t found = onset_of(splits);
        effect.detail["splits"] = splits;
        if (found < n)
            effect.value = layer_at(found);
        else
            effect.instead = "the clouds are not apart in the last layer";
        std::vector<double> replicates, shuffled;
        for (std::size_t r = 0; r < numbers_.front().replicates.size(); ++r)
            replicates.push_back(
                layer_at(onset_of(splits_in([&](const auto& layer) { return layer.replicates[r]; }))));
        if (found < n) effect.interval = percentile_interval(subject_, replicates);
        for (std::uint64_t s = 0; s < kOrders; ++s) {
            std::vector<bool> mixed;
            for (const std::int64_t i :
                 permutation(static_cast<std::int64_t>(n), mix(subject_.options.seed, 0x05e7, s)))
                mixed.push_back(splits[static_cast<std::size_t>(i)]);
            shuffled.push_back(layer_at(onset_of(mixed)));
        }
        effect.controls.push_back({"layer order shuffled", quantile(shuffled, 0.025)});
        if (found == 0) effect.instead = "the clouds are apart in every layer, so there is no onset";
        return effect;
    }

  private:
    template <class Silhouette>
    std::vector<bool> splits_in(Silhouette silhouette) const {
        std::vector<bool> splits;
        for (const auto& layer : numbers_) splits.push_back(silhouette(layer) > layer.shuffled);
        return splits;
    }
    double layer_at(std::size_t index) const {
        return index < layers_.size() ? layers_[index] : layers_.back() + 1;
    }

    Subject& subject_;
    std::vector<int> layers_;
    std::vector<LayerPair::Silhouettes> numbers_;
};

}  // namespace

const FindingKind findings::separation_onset{.name = "separation_onset",
                                             .effect_is = "first layer from which the two clouds stay apart",
                                             .controls = "layer order shuffled",
                                             .smaller_counts = true,
                                             .measure = [](Subject& subject) -> std::unique_ptr<Measurement> {
                                                 return std::make_unique<SeparationOnset>(subject);
                                             },
                                             .shown_by = &findings::attn_mlp_separation};

}  // namespace tomograph
