#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tomograph/base/progress.h"
#include "tomograph/engine/language_model.h"
#include "tomograph/intervene/writer.h"
#include "tomograph/prompts/prompts.h"
#include "tomograph/statistics/statistics.h"

namespace tomograph {

struct InterveneOptions {
    bool exact = false;  ///< see EngineOptions
    int threads = 0;
    std::uint64_t seed = 42;  ///< of resampling, of the control's directions and of the bootstrap
    /// Also run the control: each token's change as long as the acts', in a random direction. Default true.
    bool control = true;
    int bootstrap = 1000;  ///< replicates for the interval
    /// Tokens whose logits are compared at each sequence's end, first less second; empty: none.
    std::vector<std::int32_t> contrast;
};

/// A next token and how likely the model holds it.
struct Guess {
    std::int32_t token = 0;
    double probability = 0;
};

/// What acts do to what the model says next. Losses are in nats: the mean over a sequence's tokens of -log
/// p(next token), then the mean over sequences.
struct InterventionEffect {
    double before = 0, after = 0;
    double change = 0;                 ///< after - before
    std::optional<Interval> interval;  ///< of change, by bootstrap over sequences
    double kl = 0;                     ///< of the next token, before from after, mean as for losses
    struct AtPosition {
        std::int64_t position = 0;  ///< of the token that predicts
        double before = 0, after = 0;
    };
    std::vector<AtPosition> by_position;
    std::vector<double> sequence_before, sequence_after;  ///< [n_sequences]
    std::optional<double> control_change;
    std::int64_t n_changed = 0;                ///< tokens that acts choose
    std::vector<Guess> top_before, top_after;  ///< what follows the last token of the first sequence
    std::optional<double> contrast_before, contrast_after;
    std::vector<std::string> notes;
};

/// Run prompts through the model without and with the acts. Everything that acts compare with (means, other
/// sequences, patches) is read from the model without them first.
/// Errors: Error for acts that cannot be done (before the run), sequences of one token, or more values to
/// hold than 4 GB; Stopped.
InterventionEffect measure_effect(const LanguageModel& model, const PromptSet& prompts,
                                  const std::vector<Act>& acts, const InterveneOptions& options,
                                  Progress& progress = no_progress());

/// {"loss":{"before","after","change","interval"},"kl","by_position":[...],"control":{...},...}.
Json effect_json(const InterventionEffect& effect, const Vocabulary& vocabulary);

/// The acts made ready for `prompts`: reads what they need of the undisturbed model.
ActWriter prepare_acts(const LanguageModel& model, Engine& engine, const PromptSet& prompts,
                       const std::vector<Act>& acts, std::uint64_t seed, Progress& progress);

}  // namespace tomograph
