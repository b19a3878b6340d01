#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tomograph/findings/list.h"
#include "tomograph/findings/position_numbers.h"
#include "tomograph/findings/rotation.h"

namespace tomograph {
namespace {

/// How much of what positions share goes away without rotation, paired by bootstrap over the same sequences.
class RopeShare final : public Measurement {
  public:
    explicit RopeShare(Subject& subject) : subject_(subject) {}

    Effect finish() override {
        Effect effect;
        effect.controls.push_back({"rotation left on", 0});
        Subject without(*subject_.options.rope_off, subject_.options, true, subject_.progress);
        const PositionNumbers &on = subject_.positions(), &off = without.positions();
        const auto of_off = [&](const FindingKind& kind) { return kind.measure(without)->finish(); };
        const Effect share = of_off(findings::position_share), helix = of_off(findings::position_helix),
                     lattice = of_off(findings::position_lattice);
        effect.detail = {{"shared_on", number(on.mean_shared)},
                         {"shared_off", number(off.mean_shared)},
                         {"helix_off", {{"r2", number(helix.value)}, {"detail", helix.detail}}},
                         {"lattice_off", number(lattice.value)}};
        const double loss_on = mean_loss(subject_.run), loss_off = mean_loss(*subject_.options.rope_off);
        effect.detail["loss_on"] = number(loss_on);
        effect.detail["loss_off"] = number(loss_off);
        subject_.notes.push_back(
            std::isnan(loss_on) || std::isnan(loss_off)
                ? "rope_share: without rotation the model is not the one that was trained; capture both runs "
                  "with --scores to see what it loses"
                : fmt::format("rope_share: loss {:.3f} nats with rotation, {:.3f} without: what is compared "
                              "with is no trained model",
                              loss_on, loss_off));
        if (std::isnan(on.mean_shared) || std::isnan(off.mean_shared)) {
            effect.unmeasurable = share.unmeasurable.empty()
                                      ? "the share that position explains cannot be measured"
                                      : share.unmeasurable;
            return effect;
        }
        const GoneShare gone = gone_share(on, off);
        if (std::isnan(gone.value)) {
            effect.unmeasurable = "positions share nothing with rotation on";
            return effect;
        }
        effect.value = gone.value;
        effect.interval = gone.interval;
        if (gone.interval && !(gone.interval->lo > 0))
            effect.instead = "positions share as much, or more, without rotation";
        return effect;
    }

  private:
    Subject& subject_;
};

}  // namespace

const FindingKind findings::rope_share{
    .name = "rope_share",
    .effect_is = "share of the positions' structure that is gone with rotation off",
    .controls = "rotation left on",
    .needs = Needs::rope_off,
    .measure = [](Subject& subject) -> std::unique_ptr<Measurement> {
        return std::make_unique<RopeShare>(subject);
    },
    .margin = {.width = 0.1, .no_effect = 0}};

}  // namespace tomograph
