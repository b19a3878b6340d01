#pragma once
#include <algorithm>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include "tomograph/engine/engine.h"
#include "tomograph/intervene/writer.h"

namespace tomograph::test {

/// Keeps the logits of a plan's tokens, [n_tokens, n_vocab].
class LogitTap final : public Tap {
  public:
    LogitTap(std::size_t n_tokens, std::int64_t n_vocab)
        : logits(static_cast<Eigen::Index>(n_tokens), n_vocab) {}
    void take(const SiteBatch&) override {}
    void take_logits(std::size_t which, std::span<const float> values) override {
        std::copy(values.begin(), values.end(), logits.row(static_cast<Eigen::Index>(which)).data());
    }
    Matrix logits;
};

inline std::vector<TokenPlace> places_of(std::span<const Sequence> sequences) {
    std::vector<TokenPlace> places;
    std::int64_t number = 0;
    for (const Sequence& sequence : sequences) {
        for (std::int64_t p = 0; p < sequence.length(); ++p)
            places.push_back({number, p, sequence.length(), -1});
        ++number;
    }
    return places;
}

/// The logits of all tokens of one batch under a plan's writes.
inline Matrix logits_of(Engine& engine, std::span<const Sequence> sequences, std::int64_t n_vocab,
                        Plan plan = {}) {
    const std::size_t n_tokens = places_of(sequences).size();
    plan.logits.resize(n_tokens);
    std::iota(plan.logits.begin(), plan.logits.end(), std::int64_t{0});
    LogitTap tap(n_tokens, n_vocab);
    engine.run(sequences, plan, tap);
    return std::move(tap.logits);
}

}  // namespace tomograph::test
