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
        std::int64_t n_rows;  ///< tokens of it whose vectors are kept
    };
    struct Shard {
        std::size_t first_batch, n_batches;
        std::int64_t n_rows;
    };
    std::vector<std::size_t> sites;      ///< indices into the engine's sites
    std::vector<std::size_t> stored;     ///< positions in `sites` of those whose vectors are kept
    std::vector<std::uint8_t> kept;      ///< per token: is its vector kept?
    std::vector<std::int32_t> position;  ///< per token
    /// Per token: how many sequences have contributed to the mean at its position, itself included; 0: it
    /// stays out of the means.
    std::vector<std::int32_t> mean_count;
    std::vector<Batch> batches;
    std::vector<Shard> shards;  ///< none when no vectors are kept
    std::int64_t n_tokens = 0;
    std::int64_t n_rows = 0;
    std::int64_t length = 0;  ///< longest sequence
};

CapturePlan plan_capture(const Engine& engine, const ModelInfo& model, const PromptSet& prompts,
                         const CaptureOptions& options);

}  // namespace tomograph
