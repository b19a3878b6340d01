#include <fmt/format.h>

#include <cmath>

#include "tomograph/findings/list.h"
#include "tomograph/findings/position_numbers.h"
#include "tomograph/findings/rotation.h"
#include "tomograph/statistics/inference.h"

namespace tomograph {
namespace {

/// What of the positions' structure goes away where no token reads farther back than so many tokens. The
/// model is the one that was trained, and rotates as ever; how much attention has to average over is the same
/// at every position. Counted from the position on at which the context is cut.
class ContextShare final : public Measurement {
  public:
    explicit ContextShare(Subject& subject) : subject_(subject) {}

    Effect finish() override {
        Effect effect;
        effect.controls.push_back({"all of the context", 0});
        const Run& cut = *subject_.options.context;
        const std::int64_t context = short_context(cut);
        const Subject short_of(cut, subject_.options, true, subject_.progress);
        const PositionNumbers whole = measure_positions(subject_, nullptr, context),
                              truncated = measure_positions(short_of, nullptr, context);
        for (const PositionNumbers* numbers : {&whole, &truncated}) {
            if (effect.unmeasurable.empty()) effect.unmeasurable = numbers->why_not;
        }
        effect.detail = {{"context", context},
                         {"shared_whole", number(whole.mean_shared)},
                         {"shared_short", number(truncated.mean_shared)}};
        add_loss(cut, context, effect);
        if (!effect.unmeasurable.empty()) return effect;
        const GoneShare gone = gone_share(whole, truncated);
        if (std::isnan(gone.value)) {
            effect.unmeasurable = "positions share nothing with all of the context";
            return effect;
        }
        effect.value = gone.value;
        effect.interval = gone.interval;
        return effect;
    }

  private:
    /// By token that both runs predicted, from where the context is cut; by sequence, so that it has an
    /// interval.
    void add_loss(const Run& cut, std::int64_t context, Effect& effect) const {
        const Run& run = subject_.run;
        if (std::isnan(mean_loss(run)) || std::isnan(mean_loss(cut))) {
            subject_.notes.push_back(
                "context_share: capture both runs with --scores to see what the model loses by the short "
                "context");
            return;
        }
        const auto own = run.score("logprob"), other = cut.score("logprob");
        std::vector<double> more(static_cast<std::size_t>(run.n_sequences()), 0.0), count = more;
        double loss = 0, all = 0;
        for (std::size_t t = 0; t < own.size(); ++t) {
            // The first token that is predicted from less: so many stand before it and one more.
            if (run.tokens().position[t] <= context || std::isnan(own[t]) || std::isnan(other[t])) continue;
            const auto s = static_cast<std::size_t>(run.tokens().sequence[t]);
            more[s] += static_cast<double>(own[t]) - static_cast<double>(other[t]);
            loss -= static_cast<double>(own[t]);
            ++count[s];
            ++all;
        }
        if (all == 0) return;
        for (std::size_t s = 0; s < more.size(); ++s) more[s] = count[s] > 0 ? more[s] / count[s] : kNoNumber;
        const auto interval = t_interval(more);
        double mean = 0, n = 0;
        for (const double one : more) {
            if (!std::isnan(one)) mean += one, ++n;
        }
        mean /= n;
        effect.detail["loss"] = number(loss / all);
        effect.detail["loss_more"] = {
            {"value", number(mean)},
            {"interval", interval ? Json{number(interval->lo), number(interval->hi)} : Json(nullptr)}};
        subject_.notes.push_back(
            fmt::format("context_share: with its last {} tokens only the model loses {:.3f} nats a token "
                        "more than {:.3f}{}",
                        context, mean, loss / all,
                        interval ? fmt::format(" ({:.3f} to {:.3f})", interval->lo, interval->hi) : ""));
    }

    Subject& subject_;
};

}  // namespace

const FindingKind findings::context_share{
    .name = "context_share",
    .effect_is = "share of the positions' structure that is gone where each token reads its last few only",
    .controls = "all of the context",
    .needs = Needs::context,
    .measure = [](Subject& subject) -> std::unique_ptr<Measurement> {
        return std::make_unique<ContextShare>(subject);
    },
    .margin = {.width = 0.1, .no_effect = 0}};

}  // namespace tomograph
