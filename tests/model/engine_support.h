#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "support/record.h"
#include "tomograph/model/model.h"

namespace tomograph::test {

using Sequences = std::vector<Sequence>;

// One thread: these models are too small to share, and tests run side by side.
inline EngineOptions exact(std::int64_t max_length = 64) {
    return {.max_length = max_length, .exact = true, .threads = 1};
}
inline EngineOptions fast(std::int64_t max_length = 64) {
    return {.max_length = max_length, .threads = 1};
}

inline Recording record_one(Engine& engine, const Sequence& sequence) {
    return record(engine, std::span(&sequence, 1));
}

/// What the sequences give when each is a batch of its own.
inline Recording record_one_by_one(Engine& engine, const Sequences& sequences) {
    Recording joined;
    for (const Sequence& sequence : sequences) {
        for (const auto& [site, values] : record_one(engine, sequence)) {
            Matrix& rows = joined[site];
            rows.conservativeResize(rows.rows() + values.rows(), values.cols());
            rows.bottomRows(values.rows()) = values;
        }
    }
    return joined;
}

inline Sequences random_sequences(const std::vector<std::int64_t>& lengths, std::int64_t n_vocab) {
    Sequences sequences;
    for (const std::int64_t length : lengths) {
        sequences.push_back(random_sequence(length, n_vocab, 100 + sequences.size()));
    }
    return sequences;
}

/// The sequence as the rows of the embedding table that its tokens stand for, times `factor`.
inline Sequence as_vectors(const Model& model, const Sequence& sequence, float factor = 1) {
    const Matrix rows = model.token_embeddings(sequence.tokens) * factor;
    Sequence vectors = sequence;
    vectors.vectors.assign(rows.data(), rows.data() + rows.size());
    return vectors;
}

struct IgnoringTap final : Tap {
    void take(const SiteBatch&) override { ++n_taken; }
    std::int64_t n_taken = 0;
};

/// Runs `sequences` as one batch, all sites, values dropped.
inline void run(Engine& engine, const Sequences& sequences, bool check_sums = false) {
    IgnoringTap tap;
    engine.run(sequences, {.reads = all_sites(engine), .check_sums = check_sums}, tap);
}

}  // namespace tomograph::test
