#include "tomograph/live/steering.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tomograph/base/error.h"
#include "tomograph/base/random.h"
#include "tomograph/base/text.h"
#include "tomograph/statistics/answers.h"

namespace tomograph {
namespace {

/// The last token's logits.
class LastTap final : public Tap {
  public:
    void take(const SiteBatch&) override {}
    void take_logits(std::size_t, std::span<const float> logits) override {
        values.assign(logits.begin(), logits.end());
    }
    std::vector<float> values;
};

Act act_of(const Steering& steering, std::int64_t length) {
    Act act;
    act.kind = ActKind::add;
    act.site = steering.site;
    act.positions = length > 1 ? Range{1, std::nullopt} : Range{};
    act.directions = steering.direction.transpose();
    act.strength = steering.strength;
    act.json = {{"act", act_name(act.kind)},
                {"site", steering.site.name()},
                {"direction", fmt::format("{:.4g} long, of the page's selection", steering.direction.norm())},
                {"strength", steering.strength}};
    if (length > 1) act.json["positions"] = act.positions.text();
    return act;
}

std::vector<TokenPlace> places_of(const Sequence& sequence) {
    std::vector<TokenPlace> places;
    for (std::int64_t p = 0; p < sequence.length(); ++p) places.push_back({0, p, sequence.length(), -1});
    return places;
}

ActWriter writer_of(const Engine& engine, const PromptSet& prompts, const Steering& steering) {
    const auto& sites = engine.sites();
    const auto shape = std::ranges::find(sites, steering.site, &SiteShape::site);
    if (shape == sites.end())
        throw Error("the model cannot be steered at " + steering.site.name(), "it has no such site", "");
    if (shape->width() != steering.direction.size())
        throw Error(
            "the model cannot be steered at " + steering.site.name(),
            fmt::format("it is {} wide there, the direction {}", shape->width(), steering.direction.size()),
            "");
    return {{act_of(steering, prompts.sequences.front().length())},
            sites,
            {nullptr},
            {nullptr},
            prompts.sequences,
            {},
            42};
}

}  // namespace

std::vector<LiveWord> likeliest(std::span<const float> logits, const Vocabulary& vocabulary, int n_words) {
    const double log_sum = read_logits(logits).log_sum;
    std::vector<LiveWord> words;
    for (const std::int32_t token : top_tokens(logits, static_cast<std::size_t>(n_words)))
        words.push_back({token, printable(vocabulary.piece(token)),
                         std::exp(logits[static_cast<std::size_t>(token)] - log_sum)});
    return words;
}

Intervention steered(const Engine& engine, const PromptSet& prompts, const Steering& steering) {
    struct Ready {
        ActWriter writer;
        std::vector<TokenPlace> places;
    };
    const auto ready = std::make_shared<Ready>(
        Ready{writer_of(engine, prompts, steering), places_of(prompts.sequences.front())});
    return {ready->writer.record(),
            [ready](std::size_t, std::size_t) { return ready->writer.writes(ready->places); }};
}

Steering random_steering(const Steering& of, std::uint64_t seed) {
    Rng rng(seed);
    VectorD direction(of.direction.size());
    for (double& x : direction) x = rng.normal();
    Steering other = of;
    other.direction = (direction * (of.direction.cast<double>().norm() / direction.norm())).cast<float>();
    return other;
}

SteeringEffect steering_effect(Engine& engine, const Vocabulary& vocabulary, const PromptSet& prompts,
                               const Steering& steering, int n_words, int n_control) {
    const Sequence& sequence = prompts.sequences.front();
    const std::vector<TokenPlace> places = places_of(sequence);
    LastTap tap;
    const auto read = [&](const Steering* with) {
        Plan plan{.logits = {sequence.length() - 1}};
        if (with == nullptr) return engine.run({&sequence, 1}, plan, tap);
        const ActWriter writer = writer_of(engine, prompts, *with);
        plan.writes = writer.writes(places);
        engine.run({&sequence, 1}, plan, tap);
    };
    read(nullptr);
    SteeringEffect effect;
    const Answer plain = answer_of(tap.values);
    effect.plain = likeliest(tap.values, vocabulary, n_words);
    read(&steering);
    effect.divergence = divergence(plain, read_logits(tap.values));
    effect.steered = likeliest(tap.values, vocabulary, n_words);
    for (int i = 0; i < n_control; ++i) {
        const Steering random = random_steering(steering, static_cast<std::uint64_t>(i));
        read(&random);
        effect.control.push_back(divergence(plain, read_logits(tap.values)));
    }
    return effect;
}

}  // namespace tomograph
