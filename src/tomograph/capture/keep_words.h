#pragma once
#include <cstdint>
#include <string>

#include "tomograph/capture/budget.h"

namespace tomograph {

/// What of a capture is kept and what it may take, as people write it: the command line's flags, Python's
/// keywords.
struct KeepWords {
    std::string keep;            ///< "norms,means,scores:64"; empty: norms, means and vectors
    std::string budget, memory;  ///< sizes, see parse_bytes(); empty: no bound
    std::string axes_of;         ///< a run
    std::int64_t fit_tokens = 0;

    /// Into `options`. Errors: Error for an unknown word, a bad size, or words that contradict each other.
    void set(CaptureOptions& options) const;
    /// Is the cost to be known before the capture?
    bool planned() const { return !keep.empty() || !budget.empty() || !memory.empty(); }
    /// What is kept, within the budget, into `options`; what that will take. Errors: Error where nothing
    /// fits, or what is asked for does not.
    CaptureCost plan(const Engine& engine, const ModelInfo& model, const PromptSet& prompts,
                     CaptureOptions& options) const;
};

/// "8GB", "500MB", "2.5 GB", "1e9": bytes; powers of ten, or of two with KiB, MiB, GiB, TiB.
/// Errors: Error for anything else.
double parse_bytes(const std::string& text);

}  // namespace tomograph
