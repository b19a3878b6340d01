#include "tomograph/intervene/effects.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "tomograph/base/error.h"
#include "tomograph/base/text.h"
#include "tomograph/intervene/passes.h"
#include "tomograph/statistics/answers.h"
#include "tomograph/statistics/interval_json.h"
#include "tomograph/store/run.h"

namespace tomograph {
namespace {

constexpr std::size_t kGuesses = 5;

std::vector<Guess> guesses(const std::vector<float>& log_p) {
    std::vector<Guess> best;
    for (const std::int32_t token : top_tokens(log_p, kGuesses))
        best.push_back({token, std::exp(static_cast<double>(log_p[static_cast<std::size_t>(token)]))});
    return best;
}

/// A run's stored vectors at a site as values to patch from. Errors: Error when it lacks some.
std::shared_ptr<const SiteValues> values_of_run(const Run& run, const SiteShape& shape) {
    if (run.site(shape.site).width() != shape.width())
        throw Error(fmt::format("cannot patch {} from {}", shape.site.name(), run.path().string()),
                    fmt::format("it is {} wide there, and {} in the model", run.site(shape.site).width(),
                                shape.width()),
                    "");
    if (!run.has_vectors(shape.site) || run.n_rows() != run.n_tokens())
        throw Error(fmt::format("cannot patch {} from {}", shape.site.name(), run.path().string()),
                    "it does not keep the vectors of every token there",
                    "capture it with --components and all positions");
    auto values = std::make_shared<SiteValues>();
    values->width = shape.width();
    values->first_token = {0};
    for (std::int64_t token = 1; token <= run.n_tokens(); ++token) {
        const auto t = static_cast<std::size_t>(token);
        if (token == run.n_tokens() || run.tokens().sequence[t] != run.tokens().sequence[t - 1])
            values->first_token.push_back(token);
    }
    values->values.resize(static_cast<std::size_t>(run.n_tokens() * shape.width()));
    run.read_rows(shape.site, 0, run.n_rows(), values->values.data());
    return values;
}

/// The losses of one pass, and its distributions for the next one to be compared with.
class LossTap final : public Tap {
  public:
    /// `next` are the tokens that are to be predicted, one for each of the plan's logits.
    void begin(const std::vector<std::int32_t>& next, std::vector<std::vector<float>>* keep,
               const std::vector<std::vector<float>>* reference) {
        next_ = &next;
        keep_ = keep;
        reference_ = reference;
        losses.assign(next.size(), 0);
        kl.assign(next.size(), 0);
        last_logits.clear();
    }
    void take(const SiteBatch&) override {}
    void take_logits(std::size_t which, std::span<const float> logits) override {
        const auto log_sum = static_cast<float>(read_logits(logits).log_sum);
        log_p_.resize(logits.size());
        std::transform(logits.begin(), logits.end(), log_p_.begin(), [&](float x) { return x - log_sum; });
        const std::int32_t token = (*next_)[which];
        if (token >= 0) losses[which] = -static_cast<double>(log_p_[static_cast<std::size_t>(token)]);
        if (reference_ != nullptr) {
            const auto size = static_cast<Eigen::Index>(log_p_.size());
            const Eigen::Map<const Eigen::ArrayXf> before((*reference_)[which].data(), size),
                now(log_p_.data(), size);
            kl[which] = (before.exp() * (before - now)).cast<double>().sum();
        }
        if (token < 0) last_logits.push_back(log_p_);
        if (keep_ != nullptr) (*keep_)[which] = log_p_;
    }

    std::vector<double> losses, kl;
    std::vector<std::vector<float>> last_logits;  ///< log-probabilities after each sequence's last token

  private:
    const std::vector<std::int32_t>* next_ = nullptr;
    std::vector<std::vector<float>>* keep_ = nullptr;
    const std::vector<std::vector<float>>* reference_ = nullptr;
    std::vector<float> log_p_;
};

/// Sums of one pass by sequence and by position.
struct PassLosses {
    std::vector<double> sequence, kl;  // sums, then means, per sequence
    std::vector<double> position, count;
    std::vector<double> contrast;

    PassLosses(std::size_t n_sequences, std::size_t length)
        : sequence(n_sequences, 0), kl(n_sequences, 0), position(length, 0), count(length, 0) {}
    void add(const LossTap& tap, const std::vector<TokenPlace>& predicts,
             const std::vector<std::int32_t>& next, const std::vector<std::int32_t>& contrast_tokens) {
        for (std::size_t i = 0; i < predicts.size(); ++i) {
            if (next[i] < 0) continue;
            const TokenPlace& place = predicts[i];
            const auto s = static_cast<std::size_t>(place.sequence),
                       p = static_cast<std::size_t>(place.position);
            const auto n = static_cast<double>(place.length - 1);
            sequence[s] += tap.losses[i] / n;
            kl[s] += tap.kl[i] / n;
            position[p] += tap.losses[i];
            count[p] += 1;
        }
        if (contrast_tokens.size() != 2) return;
        for (const auto& log_p : tap.last_logits)
            contrast.push_back(static_cast<double>(log_p[static_cast<std::size_t>(contrast_tokens[0])]) -
                               static_cast<double>(log_p[static_cast<std::size_t>(contrast_tokens[1])]));
    }
    static double mean(const std::vector<double>& values) {
        return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
    }
};

Json guesses_json(const std::vector<Guess>& guesses, const Vocabulary& vocabulary) {
    Json json = Json::array();
    for (const Guess& guess : guesses)
        json.push_back({{"token", guess.token},
                        {"text", printable(vocabulary.piece(guess.token))},
                        {"probability", guess.probability}});
    return json;
}

}  // namespace

ActWriter prepare_acts(const LanguageModel& model, Engine& engine, const PromptSet& prompts,
                       const std::vector<Act>& acts, std::uint64_t seed, Progress& progress) {
    std::vector<std::size_t> compared;
    std::map<std::string, std::vector<std::size_t>> patched;
    for (const Act& act : acts) {
        if (act.kind == ActKind::mean || act.kind == ActKind::resample)
            compared.push_back(site_index(engine, act.site));
        if (act.kind == ActKind::patch) patched[act.from].push_back(site_index(engine, act.site));
    }
    std::map<std::size_t, std::shared_ptr<SiteValues>> baseline;
    if (!compared.empty()) baseline = read_values(engine, prompts.sequences, compared, progress);
    std::map<std::pair<std::string, std::size_t>, std::shared_ptr<const SiteValues>> sources;
    for (const auto& [from, sites] : patched) {
        if (folder_kind(from) == FolderKind::run) {
            const Run run = Run::open(from);
            for (const std::size_t site : sites)
                sources[{from, site}] = values_of_run(run, engine.sites()[site]);
            continue;
        }
        const PromptSet other = text_prompts(
            model.vocabulary(), {.files = {from},
                                 .sequences = static_cast<std::int64_t>(prompts.sequences.size()),
                                 .length = longest_length(prompts.sequences)});
        const auto values = read_values(engine, other.sequences, sites, progress);
        for (const auto& [site, its] : values) sources[{from, site}] = its;
    }
    std::vector<std::shared_ptr<const SiteValues>> per_act, patches;
    for (const Act& act : acts) {
        const std::size_t site = site_index(engine, act.site);
        const auto found = baseline.find(site);
        per_act.push_back(found != baseline.end() ? found->second : nullptr);
        const auto source = sources.find({act.from, site});
        patches.push_back(source != sources.end() ? source->second : nullptr);
    }
    return ActWriter(acts, engine.sites(), std::move(per_act), std::move(patches), prompts.sequences,
                     prompts.labels, seed);
}

Intervention intervention(const LanguageModel& model, const PromptSet& prompts, const std::vector<Act>& acts,
                          const CaptureOptions& options, Progress& progress) {
    const auto engine = model.make_engine(engine_options(prompts, options, progress));
    struct Ready {
        ActWriter writer;
        std::vector<std::int64_t> lengths;
        std::vector<std::vector<std::int32_t>> labels;
        std::vector<TokenPlace> places;  // of the batch under way
    };
    auto ready = std::make_shared<Ready>(
        Ready{prepare_acts(model, *engine, prompts, acts, options.seed, progress), {}, {}, {}});
    for (const Sequence& sequence : prompts.sequences) {
        ready->lengths.push_back(sequence.length());
        ready->labels.push_back(sequence.labels);
    }
    return {ready->writer.record(), [ready](std::size_t first, std::size_t count) {
                ready->places.clear();
                for (std::size_t s = first; s < first + count; ++s) {
                    for (std::int64_t p = 0; p < ready->lengths[s]; ++p)
                        ready->places.push_back(
                            {static_cast<std::int64_t>(s), p, ready->lengths[s],
                             ready->labels[s].empty() ? -1 : ready->labels[s][static_cast<std::size_t>(p)]});
                }
                return ready->writer.writes(ready->places);
            }};
}

InterventionEffect measure_effect(const LanguageModel& model, const PromptSet& prompts,
                                  const std::vector<Act>& acts, const InterveneOptions& options,
                                  Progress& progress) {
    const auto engine = make_loss_engine(model, prompts.sequences, options.exact, options.threads, progress);
    std::int64_t total = 0;
    for (const Sequence& sequence : prompts.sequences) total += sequence.length();
    ActWriter writer = prepare_acts(model, *engine, prompts, acts, options.seed, progress);
    const std::size_t n = prompts.sequences.size();
    PassLosses before(n, static_cast<std::size_t>(longest_length(prompts.sequences))), after = before,
                                                                                       control = before;
    InterventionEffect effect;
    effect.n_changed = writer.n_tokens();
    LossTap tap;
    std::vector<std::vector<float>> distributions;
    const int passes = options.control ? 3 : 2;
    progress.begin("intervene", total * passes, "tokens");
    std::int64_t done = 0;
    for (const PromptBatch& batch : make_batches(*engine, prompts.sequences)) {
        const auto sequences = std::span(prompts.sequences).subspan(batch.first, batch.count);
        Plan plan;
        std::vector<std::int32_t> next;
        for (std::size_t i = 0; i < batch.places.size(); ++i) {
            const TokenPlace& place = batch.places[i];
            plan.logits.push_back(static_cast<std::int64_t>(i));
            const auto& tokens = prompts.sequences[static_cast<std::size_t>(place.sequence)].tokens;
            next.push_back(place.position + 1 < place.length
                               ? tokens[static_cast<std::size_t>(place.position + 1)]
                               : -1);
        }
        distributions.resize(std::max(distributions.size(), next.size()));
        const auto pass = [&](PassLosses& losses, std::vector<std::vector<float>>* keep,
                              const std::vector<std::vector<float>>* reference) {
            if (progress.stop_requested()) throw Stopped("nothing was measured");
            tap.begin(next, keep, reference);
            engine->run(sequences, plan, tap);
            losses.add(tap, batch.places, next, options.contrast);
            done += static_cast<std::int64_t>(batch.places.size());
            progress.update(done);
        };
        pass(before, &distributions, nullptr);
        if (batch.first == 0) effect.top_before = guesses(tap.last_logits.front());
        writer.use_random_directions(false);
        plan.writes = writer.writes(batch.places);
        pass(after, nullptr, &distributions);
        if (batch.first == 0) effect.top_after = guesses(tap.last_logits.front());
        if (options.control) {
            writer.use_random_directions(true);
            pass(control, nullptr, nullptr);
        }
    }
    effect.sequence_before = before.sequence;
    effect.sequence_after = after.sequence;
    effect.before = PassLosses::mean(before.sequence);
    effect.after = PassLosses::mean(after.sequence);
    effect.change = effect.after - effect.before;
    effect.kl = PassLosses::mean(after.kl);
    if (options.control) effect.control_change = PassLosses::mean(control.sequence) - effect.before;
    if (!before.contrast.empty()) {
        effect.contrast_before = PassLosses::mean(before.contrast);
        effect.contrast_after = PassLosses::mean(after.contrast);
    }
    for (std::size_t p = 0; p < before.position.size(); ++p) {
        if (before.count[p] > 0)
            effect.by_position.push_back({static_cast<std::int64_t>(p), before.position[p] / before.count[p],
                                          after.position[p] / after.count[p]});
    }
    effect.interval = loss_change(before.sequence, after.sequence, options.bootstrap, options.seed).interval;
    if (!effect.interval) effect.notes.push_back(no_interval_note(n));
    progress.end();
    return effect;
}

Json effect_json(const InterventionEffect& effect, const Vocabulary& vocabulary) {
    Json json;
    json["loss"] = {{"before", effect.before}, {"after", effect.after}, {"change", effect.change}};
    json["loss"]["interval"] = interval_json(effect.interval);
    json["kl"] = effect.kl;
    json["by_position"] = Json::array();
    for (const auto& at : effect.by_position)
        json["by_position"].push_back(
            {{"position", at.position}, {"before", at.before}, {"after", at.after}});
    if (effect.control_change)
        json["control"] = {{"what", "each token's change in a random direction, as long as the acts' is"},
                           {"change", *effect.control_change}};
    json["tokens_changed"] = effect.n_changed;
    json["sequences"] = effect.sequence_before.size();
    json["top"] = {{"before", guesses_json(effect.top_before, vocabulary)},
                   {"after", guesses_json(effect.top_after, vocabulary)}};
    if (effect.contrast_before)
        json["contrast"] = {{"before", *effect.contrast_before}, {"after", *effect.contrast_after}};
    json["notes"] = effect.notes;
    return json;
}

}  // namespace tomograph
