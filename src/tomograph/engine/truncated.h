#pragma once
#include <cstdint>
#include <memory>
#include <optional>

#include "tomograph/engine/engine.h"

namespace tomograph {

/// A model that reads at most the last tokens before each one: every token's values are those of a sequence
/// of its own, which ends with it. So a batch costs `context` times as much. A sequence that begins with the
/// start token keeps it at the head of each: models that were trained with one rest on it.
class TruncatedContext final : public Engine {
  public:
    /// `engine`: for sequences of `context` tokens at least. `context`: tokens that are read, the own one and
    /// the start token among them; 2 or more with a start token, else 1 or more. Errors: Error for fewer.
    TruncatedContext(std::unique_ptr<Engine> engine, std::int64_t context,
                     std::optional<std::int32_t> start_token);

    const std::vector<SiteShape>& sites() const override { return engine_->sites(); }
    std::vector<std::vector<std::size_t>> parts() const override { return engine_->parts(); }
    std::int64_t batch_tokens() const override { return engine_->batch_tokens(); }
    /// Errors: as Engine::run(); Error for writes and given values.
    void run(std::span<const Sequence> batch, const Plan& plan, Tap& tap) override;

  private:
    std::unique_ptr<Engine> engine_;
    std::int64_t context_;
    std::optional<std::int32_t> start_token_;
};

}  // namespace tomograph
