#pragma once
#include <algorithm>
#include <cstdint>
#include <span>
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
    /// What each of the set's further columns holds of every token, [columns][length]; a column that says
    /// nothing of this sequence may be empty, and columns at the end may be missing. Negative: nothing.
    std::vector<std::vector<std::int32_t>> columns = {};

    /// What a decoder beside an encoder reads beside them: token ids. Other models read none.
    std::vector<std::int32_t> source = {};

    std::int64_t length() const { return static_cast<std::int64_t>(tokens.size()); }
};

/// Tokens of the longest of `sequences`; 0 where there are none.
inline std::int64_t longest_length(std::span<const Sequence> sequences) {
    std::int64_t longest = 0;
    for (const Sequence& sequence : sequences) longest = std::max(longest, sequence.length());
    return longest;
}

/// The same of what an engine must have room for: their sources, too.
inline std::int64_t longest_read(std::span<const Sequence> sequences) {
    std::int64_t longest = longest_length(sequences);
    for (const Sequence& sequence : sequences)
        longest = std::max(longest, static_cast<std::int64_t>(sequence.source.size()));
    return longest;
}

}  // namespace tomograph
