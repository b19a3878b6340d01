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
    };
    struct Shard {
        std::size_t first_batch, n_batches;
        std::int64_t end_token;
    };
    std::vector<std::size_t> sites;  ///< indices into the engine's sites
    std::vector<bool> stored;        ///< per site of `sites`: are its vectors kept?
    std::vector<std::uint8_t> kept;  ///< per token: is its vector kept?
    std::vector<Batch> batches;
    std::vector<Shard> shards;  ///< every batch is in one
    std::int64_t n_tokens = 0;
    std::int64_t n_rows = 0;
};

CapturePlan plan_capture(const Engine& engine, const ModelInfo& model, const PromptSet& prompts,
                         const CaptureOptions& options);

}  // namespace tomograph
