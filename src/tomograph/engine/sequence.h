#pragma once
#include <cstdint>
#include <vector>

namespace tomograph {

/// One sequence for the model to read. Positions count from 0.
struct Sequence {
    /// Token ids, [length]. Where `vectors` is set, the ids are labels only (-1: no token).
    std::vector<std::int32_t> tokens = {};
    /// Raw input vectors instead of token embeddings, [length, d_model]; empty: read `tokens`.
    std::vector<float> vectors = {};
    /// Index of each token's label, [length]; empty: no labels. Negative: this token has none.
    std::vector<std::int32_t> labels = {};

    std::int64_t length() const { return static_cast<std::int64_t>(tokens.size()); }
};

}  // namespace tomograph
