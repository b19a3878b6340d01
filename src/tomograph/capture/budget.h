#pragma once
#include <cstdint>
#include <string>

#include "tomograph/capture/capture.h"

namespace tomograph {

/// What a capture will take, from the sizes of its files, which are known before the model runs.
struct CaptureCost {
    std::int64_t n_tokens = 0, n_rows = 0;  ///< of all parts together
    double disk = 0;                        ///< bytes, of all parts together, or merged
    double token_disk = 0;                  ///< of them, what one more token takes
    /// Bytes that the capture needs at most beside the model's weights, its cache and its graph.
    double memory = 0;
};
CaptureCost capture_cost(const Engine& engine, const ModelInfo& model, const PromptSet& prompts,
                         const CaptureOptions& options);

/// What may be used at most, in bytes; 0: no bound.
struct Budget {
    double disk = 0, memory = 0;
};
/// The richest of these that is within the budget: vectors, or scores on 256, 128, 64, 32, 16, 8, 4 or 2
/// axes; each with the means and moments that `options` asks for, then without the moments, then without the
/// means. Where `options` keep no vectors, there are no scores either.
/// Errors: Error that says what the least takes.
Keep keep_within(const Budget& budget, const Engine& engine, const ModelInfo& model, const PromptSet& prompts,
                 const CaptureOptions& options);

/// "vectors, means", "scores:64, means, moments".
std::string keep_text(const CaptureOptions& options);

}  // namespace tomograph
