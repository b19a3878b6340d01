#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "tomograph/engine/model_info.h"
#include "tomograph/engine/sequence.h"
#include "tomograph/words/site.h"

namespace tomograph {

struct EngineOptions {
    /// Longest sequence that will be run. Learned positions bound it by the context length.
    std::int64_t max_length = 512;
    /// F32 key-value cache and no flash attention: agrees with float32 references, at some cost in speed.
    bool exact = false;
    /// Rotary positions without rotation: every frequency near zero, the causal mask as ever. A control.
    bool rope_off = false;
    /// Rotary positions at so many times the model's own frequencies. 1: as it was trained.
    double rope_frequency = 1;
    /// What recurrent mixers carry on is among the sites (Component::state): one a sequence, and large.
    bool states = false;
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
    /// The logits of token plan.logits[which], [n_vocab]. Valid only during the call.
    virtual void take_logits(std::size_t /*which*/, std::span<const float> /*logits*/) {}
    /// After a batch whose sums were checked: the largest relative error of a block's.
    virtual void take_sum_error(double /*error*/) {}
};

/// What a write may change: one site's values for consecutive tokens of the batch, before the model reads on.
struct WriteBatch {
    std::int64_t first_token;  ///< as in SiteBatch
    std::int64_t n_tokens;
    std::int64_t width;
    float* data;  ///< [n_tokens, width], row-major, contiguous
};

struct Write {
    std::size_t site;  ///< index into Engine::sites()
    /// Called once the site's value is computed, for every piece of the batch in order. What it throws ends
    /// the batch and is passed on.
    std::function<void(const WriteBatch&)> change;
};

/// A site's value that is known from an earlier run of the batch.
struct Given {
    std::size_t site;               ///< index into Engine::sites()
    std::span<const float> values;  ///< [n_tokens of the batch, width]
};

/// What is to happen while a batch runs. The run ends after the last site that is read or written; only
/// logits need all of it.
struct Plan {
    /// Indices into Engine::sites(); the tap gets positions in this list. A site that is also written shows
    /// what was written: what the model itself reads on with.
    std::vector<std::size_t> reads = {};
    /// Several writes of one site happen in this order. Two names of one value, such as a block's resid_post
    /// and the next one's resid_pre, are one site here: a write of either is a write of both.
    std::vector<Write> writes = {};
    /// Tokens of the batch, counted over its sequences laid end to end and ascending, whose logits the tap
    /// gets, [n_vocab] each.
    std::vector<std::int64_t> logits = {};
    /// The run goes on from here: what only this site needs is not computed, and the site holds these values
    /// as though it had been. No site before it may be read or written, and no sums checked. What is given
    /// must live as long as the run.
    std::optional<Given> given = {};
    /// Check every block while it runs: resid_pre + attn_out = resid_mid, resid_mid + mlp_out = resid_post;
    /// for parallel blocks the three add to resid_post, and every other write takes its part where it is
    /// added. What a block adds up to is compared before a write, what it adds after.
    bool check_sums = false;
};

/// Runs sequences through a model; hands every site that a plan reads to a tap, and every site that it writes
/// to who writes it, while the model computes.
class Engine {
  public:
    virtual ~Engine() = default;

    /// Every site of the model, in network order.
    virtual const std::vector<SiteShape>& sites() const = 0;
    /// Per site the sites whose values add up to its own, as indices into sites(). One: another name of the
    /// same value, to the bit. Several: their sum in float32, as long as no site is written. None: neither.
    virtual std::vector<std::vector<std::size_t>> parts() const {
        return std::vector<std::vector<std::size_t>>(sites().size());
    }
    /// Most tokens that one batch may hold (a single longer sequence, up to max_length, is also a batch).
    virtual std::int64_t batch_tokens() const = 0;
    /// Run one batch. All its sequences are of one kind, tokens or vectors. Errors: Stopped; Error when the
    /// backend fails, a token is out of range, a site cannot be written or given (it says which), or a block
    /// does not add up (the model was misread, or its own values are not finite).
    virtual void run(std::span<const Sequence> batch, const Plan& plan, Tap& tap) = 0;

    /// How many of the front of `sequences` form the next batch: whole sequences, at most kMaxSequences of
    /// them.
    std::size_t next_batch(std::span<const Sequence> sequences) const;

    static constexpr std::size_t kMaxSequences = 256;
};

/// What every backend asks of a batch before it runs it; returns how many tokens it has.
/// Errors: Error for a sequence or a source above max_length, a target without a source, a token that the
/// model has not, vectors of another width, or tokens and vectors in one batch.
std::int64_t check_batch(std::span<const Sequence> batch, const ModelInfo& model, std::int64_t max_length);

/// The same of a plan. Errors: Error for a site or a token that is not there, and for given values of another
/// size.
void check_plan(const Plan& plan, std::span<const SiteShape> sites, std::int64_t n_tokens);

}  // namespace tomograph
