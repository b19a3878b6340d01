#include "tomograph/model/llama_engine.h"

#include <fmt/format.h>
#include <llama.h>

#include <algorithm>
#include <exception>
#include <map>
#include <utility>

#include "tomograph/base/error.h"
#include "tomograph/model/context.h"
#include "tomograph/model/gguf_file.h"
#include "tomograph/model/graph.h"
#include "tomograph/model/llama_log.h"
#include "tomograph/model/record_graph.h"
#include "tomograph/model/sum_check.h"
#include "tomograph/model/unwritable.h"
#include "tomograph/model/watch.h"

namespace tomograph {
namespace {

// llama.cpp keeps logits for every token of a batch even when they are never computed, n_batch x n_vocab
// floats twice over. This bounds one copy.
constexpr std::int64_t kLogitBytes = 110'000'000;
constexpr std::int64_t kMaxBatchTokens = 2048;
constexpr std::int64_t kMinBatchTokens = 128;
constexpr int kProbeTokens = 4;

struct BatchDeleter {
    void operator()(llama_batch* batch) const {
        llama_batch_free(*batch);
        delete batch;
    }
};
using Batch = std::unique_ptr<llama_batch, BatchDeleter>;

enum Kind { kTokens, kVectors };

class LlamaEngine final : public Engine {
  public:
    LlamaEngine(llama_model* model, const ModelInfo& info, const EngineOptions& options);
    ~LlamaEngine() override {
        if (context_ != nullptr) llama_free(context_);
    }
    LlamaEngine(const LlamaEngine&) = delete;
    LlamaEngine& operator=(const LlamaEngine&) = delete;

    const std::vector<SiteShape>& sites() const override { return sites_; }
    std::int64_t batch_tokens() const override { return batch_tokens_; }
    void run(std::span<const Sequence> batch, const Plan& plan, Tap& tap) override;

  private:
    static bool on_eval(ggml_tensor* t, bool ask, void* self);
    static bool on_abort(void* self);
    Batch make_batch(std::int64_t n, Kind kind) const;
    void decode(llama_batch& batch);
    const GraphMap& graph_map(Kind kind);
    void hand_over_logits(const Plan& plan, std::int64_t first, std::int64_t n, Tap& tap);

    llama_model* model_;
    const ModelInfo& info_;
    EngineOptions options_;
    llama_context* context_ = nullptr;
    std::int64_t batch_tokens_ = 0;
    std::map<Kind, GraphMap> maps_;
    std::vector<SiteShape> sites_;

    // Who sees the nodes of the graph under way: one of them, or none while buffers are reserved.
    GraphRecorder* recorder_ = nullptr;
    Watch* watch_ = nullptr;
};

bool LlamaEngine::on_eval(ggml_tensor* t, bool ask, void* self) {
    auto& engine = *static_cast<LlamaEngine*>(self);
    if (engine.watch_ != nullptr) return engine.watch_->on_eval(t, ask);
    if (engine.recorder_ != nullptr && ask) engine.recorder_->add(t);
    return !ask;
}

bool LlamaEngine::on_abort(void* self) {
    const auto& engine = *static_cast<LlamaEngine*>(self);
    return (engine.watch_ != nullptr && engine.watch_->failure) ||
           (engine.options_.stop_requested && engine.options_.stop_requested());
}

Batch LlamaEngine::make_batch(std::int64_t n, Kind kind) const {
    return Batch(new llama_batch(llama_batch_init(
        static_cast<std::int32_t>(n), kind == kVectors ? static_cast<std::int32_t>(info_.d_model) : 0, 1)));
}

void LlamaEngine::decode(llama_batch& batch) {
    clear_llama_errors();
    const std::int32_t status = llama_decode(context_, batch);
    if (watch_ != nullptr && watch_->failure) std::rethrow_exception(watch_->failure);
    if (status == 2) throw Stopped("the batch under way was dropped");
    if (status != 0)
        throw Error("llama.cpp could not run a batch",
                    fmt::format("{} (status {})", last_llama_error(), status), "");
}

const GraphMap& LlamaEngine::graph_map(Kind kind) {
    if (const auto known = maps_.find(kind); known != maps_.end()) return known->second;
    const Batch batch = make_batch(kProbeTokens, kind);
    batch->n_tokens = kProbeTokens;
    for (int i = 0; i < kProbeTokens; ++i) {
        if (kind == kTokens)
            batch->token[i] = static_cast<llama_token>(std::min<std::int64_t>(i, info_.n_vocab - 1));
        batch->pos[i] = i;
        batch->n_seq_id[i] = 1;
        batch->seq_id[i][0] = 0;
        batch->logits[i] = 1;
    }
    if (kind == kVectors) std::fill_n(batch->embd, kProbeTokens * info_.d_model, 0.0f);
    GraphRecorder seen;
    recorder_ = &seen;
    llama_memory_clear(llama_get_memory(context_), false);
    try {
        decode(*batch);
    } catch (...) {
        recorder_ = nullptr;
        throw;
    }
    recorder_ = nullptr;
    GraphMap found;
    found.sites = find_sites(seen.nodes, info_.d_model, info_.n_layers);
    const bool same_sites =
        maps_.empty() || std::equal(found.sites.begin(), found.sites.end(), sites_.begin(), sites_.end(),
                                    [](const SiteNode& a, const SiteShape& b) { return a.site == b.site; });
    if (!same_sites)
        throw Error(info_.name + " cannot be run on vectors", "its graph differs from that for tokens", "");
    for (const SiteNode& site : found.sites)
        found.unwritable.push_back(unwritable(seen.nodes, found.sites, site));
    for (const GraphNode& node : seen.nodes) {
        found.ops.push_back(node.op);
        found.names.push_back(node.name);
        auto& sources = found.sources.emplace_back();
        for (const GraphNode::Source& source : node.sources) {
            if (source.node >= 0) sources.push_back(source.node);
        }
    }
    return maps_[kind] = std::move(found);
}

LlamaEngine::LlamaEngine(llama_model* model, const ModelInfo& info, const EngineOptions& options)
    : model_(model), info_(info), options_(options) {
    auto parameters = context_parameters(model, info, options_);
    batch_tokens_ = std::clamp(kLogitBytes / (info.n_vocab * 4), kMinBatchTokens, kMaxBatchTokens);
    // Whole sequences only: room that no sequence fills would still be paid for in logits.
    if (options.max_length < batch_tokens_) batch_tokens_ -= batch_tokens_ % options.max_length;

    parameters.n_ctx =
        static_cast<std::uint32_t>(std::max<std::int64_t>({batch_tokens_, options.max_length, kProbeTokens}));
    parameters.n_batch = parameters.n_ubatch = static_cast<std::uint32_t>(batch_tokens_);
    parameters.n_seq_max = kMaxSequences;
    parameters.kv_unified = true;
    parameters.cb_eval = on_eval;
    parameters.cb_eval_user_data = this;
    parameters.abort_callback = on_abort;
    parameters.abort_callback_data = this;
    clear_llama_errors();
    std::unique_ptr<llama_context, decltype(&llama_free)> context(llama_init_from_model(model, parameters),
                                                                  &llama_free);
    if (!context) throw Error("llama.cpp cannot prepare " + info.name, last_llama_error(), "");
    if (llama_get_memory(context.get()) == nullptr) {
        throw Error(info.name + " is an encoder", "only decoder-only language models can be recorded", "");
    }
    context_ = context.get();
    for (const SiteNode& node : graph_map(kTokens).sites) sites_.push_back({node.site, node.shape});
    context.release();
}

void LlamaEngine::hand_over_logits(const Plan& plan, std::int64_t first, std::int64_t n, Tap& tap) {
    const auto begin = std::lower_bound(plan.logits.begin(), plan.logits.end(), first);
    for (auto token = begin; token != plan.logits.end() && *token < first + n; ++token) {
        // Every token of a batch is an output.
        const float* logits = llama_get_logits_ith(context_, static_cast<std::int32_t>(*token - first));
        if (logits == nullptr)
            throw Error("llama.cpp gave no logits", fmt::format("of token {}", *token), "");
        tap.take_logits(static_cast<std::size_t>(token - plan.logits.begin()),
                        {logits, static_cast<std::size_t>(info_.n_vocab)});
    }
}

void LlamaEngine::run(std::span<const Sequence> batch, const Plan& plan, Tap& tap) {
    const std::int64_t total = check_batch(batch, info_, options_.max_length);
    check_plan(plan, sites_, total);
    if (total == 0) return;
    const Kind kind = batch.front().vectors.empty() ? kTokens : kVectors;
    const GraphMap& map = graph_map(kind);
    SumCheck check(sites_, info_.name);
    Watch watch(map, sites_, info_.name, plan, tap, plan.check_sums ? &check : nullptr);

    llama_memory_clear(llama_get_memory(context_), false);
    // One decode holds the whole batch; only a single sequence longer than that is cut, and its cache is
    // kept.
    const std::int64_t step = std::min(total, batch_tokens_);
    const Batch input = make_batch(step, kind);
    std::int64_t done = 0;
    std::size_t sequence = 0;
    std::int64_t position = 0;
    while (done < total) {
        const std::int64_t n = std::min(step, total - done);
        for (std::int64_t i = 0; i < n; ++i) {
            while (position == batch[sequence].length()) {
                ++sequence;
                position = 0;
            }
            const Sequence& from = batch[sequence];
            if (kind == kTokens)
                input->token[i] = from.tokens[static_cast<std::size_t>(position)];
            else
                std::copy_n(from.vectors.data() + position * info_.d_model, info_.d_model,
                            input->embd + i * info_.d_model);
            input->pos[i] = static_cast<llama_pos>(position);
            input->n_seq_id[i] = 1;
            input->seq_id[i][0] = static_cast<llama_seq_id>(sequence);
            input->logits[i] = 1;
            ++position;
        }
        input->n_tokens = static_cast<std::int32_t>(n);
        watch.begin(done, n, info_.d_model, kind == kVectors ? input->embd : nullptr);
        if (watch.needs_graph()) {
            watch_ = &watch;
            try {
                decode(*input);
            } catch (...) {
                watch_ = nullptr;
                watch.restore();
                throw;
            }
            watch_ = nullptr;
            watch.restore();
            hand_over_logits(plan, done, n, tap);
        }
        done += n;
    }
}

}  // namespace

std::unique_ptr<Engine> make_llama_engine(llama_model* raw, const ModelInfo& info,
                                          const EngineOptions& options) {
    return std::make_unique<LlamaEngine>(raw, info, options);
}

}  // namespace tomograph
