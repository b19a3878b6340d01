#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "tomograph/model/model.h"
#include "tomograph/model/sequence.h"
#include "tomograph/words/site.h"

namespace tomograph {

struct EngineOptions {
    /// Longest sequence that will be run. Learned positions bound it by the context length.
    std::int64_t max_length = 512;
    /// F32 key-value cache and no flash attention: agrees with float32 references, at some cost in speed.
    bool exact = false;
    /// Rotary positions without rotation: every frequency near zero, the causal mask as ever. A control.
    bool rope_off = false;
    /// 0: all that this process may run on.
    int threads = 0;
    /// Tested while the model runs; true ends the batch with Stopped.
    std::function<bool()> stop_requested = {};
};

/// What one site holds for consecutive tokens of the batch. Valid only during Tap::take.
struct SiteBatch {
    std::size_t site;          ///< index into the sites that were asked for
    std::int64_t first_token;  ///< counted over the batch's sequences, laid end to end
    std::int64_t n_tokens;
    std::int64_t width;  ///< product of the site's shape
    const float* data;   ///< [n_tokens, width], row-major, contiguous
};

class Tap {
  public:
    virtual ~Tap() = default;
    virtual void take(const SiteBatch& batch) = 0;
};

/// Runs sequences through a model and hands every requested site to a tap while the graph is computed.
class Engine {
  public:
    /// Errors: Error when max_length exceeds a learned position table, when rope_off is asked of a model that
    /// does not rotate or that would rotate nevertheless (sliding windows), or when the model's graph is not
    /// one whose sites can be found.
    Engine(const Model& model, const EngineOptions& options);
    ~Engine();
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    /// Every site of the model, in network order.
    const std::vector<SiteShape>& sites() const;
    /// Most tokens that one batch may hold (a single longer sequence, up to max_length, is also a batch).
    std::int64_t batch_tokens() const;
    /// How many of the front of `sequences` form the next batch: whole sequences, at most 256 of them.
    std::size_t next_batch(std::span<const Sequence> sequences) const;

    /// Run one batch. `sites` index into sites(); the tap gets positions in this list. All sequences of a
    /// batch are of one kind, tokens or vectors. With `check_sums`, every block is checked while it runs:
    /// resid_pre + attn_out = resid_mid, resid_mid + mlp_out = resid_post; for parallel blocks the three add
    /// to resid_post. Errors: Stopped; Error when llama.cpp fails, a token is out of range, or a block does
    /// not add up (the model's graph was misread).
    void run(std::span<const Sequence> batch, std::span<const std::size_t> sites, Tap& tap,
             bool check_sums = false);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace tomograph
