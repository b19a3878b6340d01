#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "tomograph/base/progress.h"
#include "tomograph/prompts/prompts.h"

namespace tomograph {

/// How a model is to go on with each prompt.
struct GenerateOptions {
    std::int64_t most = 0;  ///< tokens of an answer
    /// 0: always the most probable token (the first of equals). Above, tokens are drawn by their probability,
    /// whose logarithms are divided by this: larger is wilder.
    double temperature = 0;
    std::uint64_t seed = 42;              ///< of the draws: each is fixed by seed, sequence and place
    std::vector<std::string> stops = {};  ///< an answer ends with the token that completes one of these
    bool exact = false;                   ///< see EngineOptions
    bool rope_off = false;                ///< see EngineOptions
    double rope_frequency = 1;            ///< see EngineOptions
    int threads = 0;
};

/// Let the model go on with every sequence, one after the other, and add what it says to it: a capture of the
/// set then reads prompt and answer in one pass, so that an answer's vectors are those of text that was
/// given. An answer ends with a token that ends text (an end of turn, which it keeps), at a stop, after
/// `most` tokens, or where the model's context ends. Column `part` and, for what had none, `label` tell
/// prompt from answer; in a conversation an answer is the assistant's next turn. Errors: Error for a sequence
/// of raw vectors, an empty one, options without meaning; Stopped.
void add_answers(PromptSet& set, const LanguageModel& model, const GenerateOptions& options,
                 Progress& progress = no_progress());

/// The token that is drawn, by `draw` in [0, 1), from the probabilities that logits over the temperature
/// give; with temperature 0 the one with the largest logit. Errors: Error when a logit is NaN.
std::int32_t choose_token(std::span<const float> logits, double temperature, double draw);

}  // namespace tomograph
