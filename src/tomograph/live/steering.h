#pragma once
#include <memory>

#include "tomograph/capture/capture.h"
#include "tomograph/intervene/writer.h"
#include "tomograph/serve/live.h"

namespace tomograph {

/// `prompts` (one sequence) under the acts that a steering is, on an engine of the model, as a capture takes
/// them. Errors: Error when the model has no such site, or its vectors are of another width.
Intervention steered(const Engine& engine, const PromptSet& prompts, const Steering& steering);

/// The same push in a direction drawn by seed.
Steering random_steering(const Steering& of, std::uint64_t seed);

/// What steering does to the word after a prompt of one sequence, in 2 + n_control passes. Errors: as
/// steered() and Engine::run().
SteeringEffect steering_effect(Engine& engine, const Vocabulary& vocabulary, const PromptSet& prompts,
                               const Steering& steering, int n_words, int n_control);

/// The most probable words of a row of logits.
std::vector<LiveWord> likeliest(std::span<const float> logits, const Vocabulary& vocabulary, int n_words);

}  // namespace tomograph
