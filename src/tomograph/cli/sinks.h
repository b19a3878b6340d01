#pragma once
#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "tomograph/capture/budget.h"

namespace tomograph {

/// Flags that say what of a capture is kept, and what it may take.
struct SinkFlags {
    std::string keep, budget, memory, axes_of;
    std::optional<std::int64_t> fit_tokens;

    void add(CLI::App& command);
    /// Into `options`. `vectors_said`: other flags say of the vectors, too, what is kept.
    /// Errors: CLI::ValidationError for an unknown word, a bad size, or flags that contradict each other.
    void set(CaptureOptions& options, bool vectors_said) const;
    /// Is the cost to be known before the capture?
    bool planned() const { return !keep.empty() || !budget.empty() || !memory.empty(); }
    /// What is kept, within the budget, and what it will take: said before the model reads.
    void plan(const Engine& engine, const ModelInfo& model, const PromptSet& prompts,
              CaptureOptions& options) const;
};

/// "8GB", "500MB", "2.5 GB", "1e9": bytes; powers of ten, or of two with KiB, MiB, GiB, TiB.
/// Errors: Error for anything else.
double parse_bytes(const std::string& text);

}  // namespace tomograph
