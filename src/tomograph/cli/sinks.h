#pragma once
#include <CLI/CLI.hpp>

#include "tomograph/capture/keep_words.h"

namespace tomograph {

/// Flags that say what of a capture is kept, and what it may take.
struct SinkFlags : KeepWords {
    void add(CLI::App& command);
    /// Into `options`. `vectors_said`: other flags say of the vectors, too, what is kept.
    /// Errors: CLI::ValidationError for an unknown word, a bad size, or flags that contradict each other.
    void set(CaptureOptions& options, bool vectors_said) const;
    /// What is kept, within the budget, and what it will take: said before the model reads.
    void plan(const Engine& engine, const ModelInfo& model, const PromptSet& prompts,
              CaptureOptions& options) const;
};

}  // namespace tomograph
