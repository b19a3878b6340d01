#pragma once
#include <cstdint>
#include <vector>

#include "tomograph/capture/capture.h"

namespace tomograph {

/// Everything about a capture that is known before the model runs: it fixes every file's size.
struct CapturePlan {
    struct Batch {
        std::size_t first_sequence, n_sequences;
        std::int64_t first_token, n_tokens;
        std::int64_t longest;  ///< tokens of its longest sequence
    };
    struct Shard {
        std::size_t first_batch, n_batches;
        std::int64_t end_token;
        std::int64_t begin_token;
    };
    std::vector<std::size_t> sites;  ///< indices into the engine's sites
    std::vector<bool> stored;        ///< per site of `sites`: are its vectors kept?
    /// Per site of `sites`, those whose vectors are kept and add up to its own, which are not written; none:
    /// its own are.
    std::vector<std::vector<std::size_t>> sums;
    bool means = true;               ///< are sums by position written?
    std::vector<std::uint8_t> kept;  ///< per token: is its vector kept?
    std::vector<Batch> batches;
    std::vector<Shard> shards;  ///< every batch is in one
    /// Per part of a capture that is shared: one past its last shard. Empty where it is not.
    std::vector<std::size_t> part_ends;
    std::int64_t n_tokens = 0;
    std::int64_t n_rows = 0;

    bool is_written(std::size_t site) const { return stored[site] && sums[site].empty(); }
};

/// Of the whole capture, whichever part of it is asked for: all parts make the same plan. A part is a row of
/// whole batches, so that the model computes what it would have without parts, to the bit; a shard lies in
/// one part.
CapturePlan plan_capture(const Engine& engine, const ModelInfo& model, const PromptSet& prompts,
                         const CaptureOptions& options);

/// Its two halves. What is read does not depend on what is kept of it (CaptureOptions::keep and dtype):
/// sites, batches, which tokens' vectors are kept. How it is cut into shards does.
CapturePlan plan_reading(const Engine& engine, const ModelInfo& model, const PromptSet& prompts,
                         const CaptureOptions& options);
void cut_into_shards(CapturePlan& plan, const Engine& engine, const CaptureOptions& options);

}  // namespace tomograph
