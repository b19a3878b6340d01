#include "tomograph/model/llama_engine.h"

#include <fmt/format.h>
#include <llama.h>

#include <algorithm>
#include <array>
#include <exception>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tomograph/base/error.h"
#include "tomograph/model/context.h"
#include "tomograph/model/gguf_file.h"
#include "tomograph/model/graph.h"
#include "tomograph/model/llama_log.h"
#include "tomograph/model/record_graph.h"
#include "tomograph/model/states.h"
#include "tomograph/model/stream.h"
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

enum Kind { kTokens, kVectors };

/// Where rotary positions have several sections (time, height, width, …), vectors need one for each.
constexpr std::int64_t kPositionSections = 4;

/// What llama.cpp is given to read. Every token is an output, or it would drop rows in the last layer.
class Batch {
  public:
    /// For at most `n` tokens; vectors are `width` wide, of which d_model are the model's own.
    Batch(std::int64_t n, Kind kind, std::int64_t width, bool sections)
        : width_(width), sections_(sections && kind == kVectors) {
        const auto size = static_cast<std::size_t>(n);
        if (kind == kTokens)
            tokens_.resize(size);
        else
            vectors_.resize(size * static_cast<std::size_t>(width));
        positions_.resize(size * (sections_ ? kPositionSections : 1));
        ids_.resize(size);
        id_pointers_.resize(size);
        for (std::size_t i = 0; i < size; ++i) id_pointers_[i] = &ids_[i];
        n_ids_.assign(size, 1);
        outputs_.assign(size, 1);
    }
    /// Of the next piece, before its tokens are set.
    void begin(std::int64_t n) { n_ = n; }
    void set(std::int64_t i, std::int64_t position, std::size_t sequence) {
        const auto at = static_cast<std::size_t>(i);
        const auto n = static_cast<std::size_t>(n_);
        positions_[at] = static_cast<llama_pos>(position);
        // As llama.cpp itself gives them to a token of text.
        if (sections_)
            positions_[n + at] = positions_[2 * n + at] = positions_[at], positions_[3 * n + at] = 0;
        ids_[at] = static_cast<llama_seq_id>(sequence);
    }
    llama_token& token(std::int64_t i) { return tokens_[static_cast<std::size_t>(i)]; }
    float* vector(std::int64_t i) { return vectors_.data() + i * width_; }
    float* vectors() { return vectors_.empty() ? nullptr : vectors_.data(); }
    llama_batch raw() {
        return {.n_tokens = static_cast<std::int32_t>(n_),
                .token = tokens_.empty() ? nullptr : tokens_.data(),
                .embd = vectors(),
                .pos = positions_.data(),
                .n_seq_id = n_ids_.data(),
                .seq_id = id_pointers_.data(),
                .logits = outputs_.data()};
    }

  private:
    std::int64_t n_ = 0, width_;
    bool sections_;
    std::vector<llama_token> tokens_;
    std::vector<float> vectors_;
    std::vector<llama_pos> positions_;
    std::vector<llama_seq_id> ids_;
    std::vector<llama_seq_id*> id_pointers_;
    std::vector<std::int32_t> n_ids_;
    std::vector<std::int8_t> outputs_;
};

/// Of every node, the nodes that it reads: by name, and by way of a cache that they wrote before it does.
/// Keys and values are written, and states cleared, by nodes that nothing names as its source.
std::vector<std::vector<int>> read_sources(const std::vector<GraphNode>& nodes) {
    std::vector<std::set<std::string>> shown(nodes.size());  // caches that a node is, or is a view of
    std::map<std::string, std::vector<int>> writers;
    std::vector<std::vector<int>> all(nodes.size());
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        const GraphNode& node = nodes[i];
        std::set<std::string> caches;
        for (const GraphNode::Source& source : node.sources) {
            if (source.node >= 0) {
                all[i].push_back(source.node);
                caches.merge(std::set(shown[static_cast<std::size_t>(source.node)]));
            } else if (source.leaf.starts_with("cache_")) {
                caches.insert(source.leaf);
            }
        }
        for (const std::string& cache : caches) {
            const auto& before = writers[cache];
            all[i].insert(all[i].end(), before.begin(), before.end());
        }
        const bool clears = node.op == GraphNode::Op::scale && node.factor == 0;
        const bool writes = clears || node.kind == "SET_ROWS" || node.kind == "CPY";
        if (writes) {
            for (const std::string& cache : caches) writers[cache].push_back(static_cast<int>(i));
        } else if (node.op == GraphNode::Op::view) {
            shown[i] = std::move(caches);
        }
    }
    return all;
}

void check_status(std::int32_t status) {
    if (status == 2) throw Stopped("the batch under way was dropped");
    if (status != 0)
        throw Error("llama.cpp could not run a batch",
                    fmt::format("{} (status {})", last_llama_error(), status), "");
}

class LlamaEngine final : public Engine {
  public:
    LlamaEngine(llama_model* model, const ModelInfo& info, const EngineOptions& options);
    const std::vector<SiteShape>& sites() const override { return sites_; }
    std::vector<std::vector<std::size_t>> parts() const override { return maps_.at(kTokens).parts; }
    std::int64_t batch_tokens() const override { return batch_tokens_; }
    void run(std::span<const Sequence> batch, const Plan& plan, Tap& tap) override;

  private:
    static bool on_eval(ggml_tensor* t, bool ask, void* self);
    static bool on_abort(void* self);
    Batch make_batch(std::int64_t n, Kind kind) const;
    void make_context();
    void forget();
    void decode(Batch& batch);
    void encode_sources(std::span<const Sequence> batch, std::size_t sequence, std::size_t slot,
                        std::int64_t n);
    std::int64_t piece_tokens(std::span<const Sequence> batch, std::size_t sequence,
                              std::int64_t position) const;
    void run_piece(Watch& watch, Batch& input);
    const GraphMap& graph_map(Kind kind);
    void check_vectors(const GraphMap& vectors) const;
    void hand_over_logits(const Plan& plan, std::int64_t first, std::int64_t n, Tap& tap);

    llama_model* model_;
    const ModelInfo& info_;
    EngineOptions options_;
    std::unique_ptr<llama_context, decltype(&llama_free)> context_{nullptr, &llama_free};
    std::int64_t batch_tokens_ = 0;
    std::int64_t n_slots_ = kMaxSequences;  // sequences that the memory has room for
    bool recurrent_;                        // pieces hold sequences of one length
    bool encodes_;                          // llama.cpp has to be asked for an encoder
    bool reads_source_;                     // which it attends to
    bool whole_ = false;                    // no sequence can be read in pieces
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
    const llama_rope_type rope = llama_model_rope_type(model_);
    return {n, kind, llama_model_n_embd_inp(model_),
            rope == LLAMA_ROPE_TYPE_MROPE || rope == LLAMA_ROPE_TYPE_IMROPE};
}

void LlamaEngine::decode(Batch& batch) {
    clear_llama_errors();
    const std::int32_t status =
        encodes_ ? llama_encode(context_.get(), batch.raw()) : llama_decode(context_.get(), batch.raw());
    if (watch_ != nullptr && watch_->failure) std::rethrow_exception(watch_->failure);
    check_status(status);
}

const GraphMap& LlamaEngine::graph_map(Kind kind) {
    if (const auto known = maps_.find(kind); known != maps_.end()) return known->second;
    Batch batch = make_batch(kProbeTokens, kind);
    batch.begin(kProbeTokens);
    for (int i = 0; i < kProbeTokens; ++i) {
        batch.set(i, i, 0);
        if (kind == kTokens)
            batch.token(i) = static_cast<llama_token>(std::min<std::int64_t>(i, info_.n_vocab - 1));
    }
    GraphRecorder seen;
    forget();
    if (reads_source_) encode_sources(std::array{Sequence{.tokens = {0}, .source = {0, 0, 0, 0}}}, 0, 0, 1);
    recorder_ = &seen;
    try {
        decode(batch);
    } catch (...) {
        recorder_ = nullptr;
        throw;
    }
    recorder_ = nullptr;
    GraphMap found;
    FoundSites sites = find_sites(seen.nodes, info_.d_model, info_.n_layers);
    found.sites = std::move(sites.sites);
    found.sums = std::move(sites.sums);
    found.stem_factor = sites.stem_factor;
    for (const GraphNode& node : seen.nodes) {
        for (const GraphNode::Source& source : node.sources) {
            if (node.computed && source.weight && layer_of_weight(source.leaf))
                found.block_weights.insert(source.leaf);
        }
    }
    if (kind == kVectors) check_vectors(found);
    for (const SiteNode& site : found.sites)
        found.unwritable.push_back(unwritable(seen.nodes, found.sites, site));
    if (options_.states) {
        for (SiteNode& state : find_states(seen.nodes)) {
            const auto at = std::ranges::upper_bound(found.sites, state.site, network_order, &SiteNode::site);
            found.unwritable.insert(found.unwritable.begin() + (at - found.sites.begin()),
                                    "it is one a sequence, and is carried on elsewhere");
            found.sites.insert(at, std::move(state));
        }
    }
    found.parts = find_parts(found.sites, found.sums);
    const bool same_sites =
        maps_.empty() ||
        (std::equal(found.sites.begin(), found.sites.end(), sites_.begin(), sites_.end(),
                    [](const SiteNode& a, const SiteShape& b) { return a.site == b.site; }) &&
         found.parts == maps_.begin()->second.parts);
    if (!same_sites)
        throw Error(info_.name + " cannot be run on vectors", "its graph differs from that for tokens", "");
    for (const GraphNode& node : seen.nodes) {
        found.ops.push_back(node.op);
        found.names.push_back(node.name);
    }
    found.sources = read_sources(seen.nodes);
    return maps_[kind] = std::move(found);
}

/// Some models have weights of their own for what is no text, or choose experts by the token itself.
void LlamaEngine::check_vectors(const GraphMap& vectors) const {
    const auto& tokens = maps_.at(kTokens).block_weights;
    for (const std::string& weight : vectors.block_weights) {
        if (!tokens.contains(weight))
            throw Error(info_.name + " cannot be run on vectors",
                        "it sends them through weights that tokens do not meet, such as " + weight,
                        "use prompts of tokens");
    }
    for (const std::string& weight : tokens) {
        if (!vectors.block_weights.contains(weight))
            throw Error(info_.name + " cannot be run on vectors",
                        "tokens meet weights that it does not show to vectors, such as " + weight,
                        "use prompts of tokens");
    }
}

LlamaEngine::LlamaEngine(llama_model* model, const ModelInfo& info, const EngineOptions& options)
    : model_(model),
      info_(info),
      options_(options),
      recurrent_(llama_model_is_recurrent(model) || llama_model_is_hybrid(model)),
      encodes_(llama_model_has_encoder(model) && info.side != "target"),
      reads_source_(info.side == "target") {
    context_parameters(model, info, options_);  // refuses lengths that there cannot be
    batch_tokens_ = std::clamp(kLogitBytes / (info.n_vocab * 4), kMinBatchTokens, kMaxBatchTokens);
    // Whole sequences only: room that no sequence fills would still be paid for in logits.
    if (options.max_length < batch_tokens_) batch_tokens_ -= batch_tokens_ % options.max_length;
    // llama.cpp has room for the logits of every slot, and wants no more of them than of tokens.
    n_slots_ = std::min<std::int64_t>(kMaxSequences, batch_tokens_);
    // A recurrent state is there for every slot, used or not, and may be larger than all of a short sequence.
    if (recurrent_) n_slots_ = std::clamp<std::int64_t>(batch_tokens_ / options.max_length, 1, kMaxSequences);
    // llama.cpp's graph of PLaMo 2 lays several sequences of one batch into each other, and DeepSeek 4's
    // compressed keys are of one sequence where the cache is one for all.
    if (info.architecture == "plamo2" || info.architecture == "deepseek4") n_slots_ = 1;
    make_context();
    // Without a memory nothing goes on from an earlier piece, and with a source its sequences are encoded
    // first.
    if (llama_get_memory(context_.get()) == nullptr || llama_model_has_encoder(model_)) {
        whole_ = true;
        if (options.max_length > batch_tokens_) {
            batch_tokens_ = options.max_length;
            make_context();
        }
    }
    for (const SiteNode& node : graph_map(kTokens).sites) sites_.push_back({node.site, node.shape});
}

void LlamaEngine::make_context() {
    context_.reset();
    auto parameters = context_parameters(model_, info_, options_);
    parameters.n_ctx = static_cast<std::uint32_t>(
        std::max<std::int64_t>({batch_tokens_, options_.max_length, kProbeTokens}));
    parameters.n_batch = parameters.n_ubatch = static_cast<std::uint32_t>(batch_tokens_);
    parameters.n_seq_max = static_cast<std::uint32_t>(n_slots_);
    parameters.kv_unified = true;
    parameters.cb_eval = on_eval;
    parameters.cb_eval_user_data = this;
    parameters.abort_callback = on_abort;
    parameters.abort_callback_data = this;
    clear_llama_errors();
    context_.reset(llama_init_from_model(model_, parameters));
    if (!context_) throw Error("llama.cpp cannot prepare " + info_.name, last_llama_error(), "");
}

void LlamaEngine::forget() {
    if (llama_memory_t memory = llama_get_memory(context_.get())) llama_memory_clear(memory, false);
}

void LlamaEngine::hand_over_logits(const Plan& plan, std::int64_t first, std::int64_t n, Tap& tap) {
    const auto begin = std::lower_bound(plan.logits.begin(), plan.logits.end(), first);
    for (auto token = begin; token != plan.logits.end() && *token < first + n; ++token) {
        // Every token of a batch is an output.
        const float* logits = llama_get_logits_ith(context_.get(), static_cast<std::int32_t>(*token - first));
        if (logits == nullptr)
            throw Error("llama.cpp gave no logits", fmt::format("of token {}", *token), "");
        tap.take_logits(static_cast<std::size_t>(token - plan.logits.begin()),
                        {logits, static_cast<std::size_t>(info_.n_vocab)});
    }
}

void LlamaEngine::run(std::span<const Sequence> batch, const Plan& plan, Tap& tap) {
    const std::int64_t total = check_batch(batch, info_, options_.max_length);
    check_plan(plan, sites_, total);
    if (encodes_ && !plan.logits.empty())
        throw Error(info_.name + " gives no logits", "it is an encoder, and predicts nothing", "");
    if (total == 0) return;
    const Kind kind = batch.front().vectors.empty() ? kTokens : kVectors;
    const GraphMap& map = graph_map(kind);
    const auto to_stem = static_cast<float>(maps_.at(kTokens).stem_factor / map.stem_factor);
    SumCheck check(sites_, map.sums, info_.name, llama_n_threads_batch(context_.get()));
    // A state is kept where the graph says, which may be behind the last node that is wanted.
    const bool in_pieces = recurrent_ && longest_length(batch) > batch_tokens_;
    Watch watch(map, sites_, info_.name, plan, tap, plan.check_sums ? &check : nullptr, in_pieces);

    forget();
    Batch input = make_batch(std::min(total, batch_tokens_), kind);
    std::size_t sequence = 0, slot = 0;
    std::int64_t position = 0;
    for (std::int64_t done = 0; done < total;) {
        while (position == batch[sequence].length()) ++sequence, position = 0, ++slot;
        if (recurrent_ && position == 0) forget(), slot = 0;
        const std::int64_t n = piece_tokens(batch, sequence, position);
        if (reads_source_ && watch.needs_graph()) encode_sources(batch, sequence, slot, n);
        input.begin(n);
        for (std::int64_t i = 0; i < n; ++i, ++position) {
            while (position == batch[sequence].length()) ++sequence, position = 0, ++slot;
            const Sequence& from = batch[sequence];
            input.set(i, position, slot);
            if (kind == kTokens)
                input.token(i) = from.tokens[static_cast<std::size_t>(position)];
            else
                std::copy_n(from.vectors.data() + position * info_.d_model, info_.d_model, input.vector(i));
        }
        watch.begin(done, n, info_.d_model, input.vectors(), position == batch[sequence].length());
        // What stands for an embedding enters as one does, whatever the model does to vectors of other kinds.
        if (kind == kVectors && to_stem != 1) {
            for (std::int64_t i = 0; i < n; ++i)
                for (std::int64_t d = 0; d < info_.d_model; ++d) input.vector(i)[d] *= to_stem;
        }
        if (watch.needs_graph()) {
            run_piece(watch, input);
            hand_over_logits(plan, done, n, tap);
        }
        done += n;
    }
    if (plan.check_sums) tap.take_sum_error(check.worst());
}

/// How many tokens from here on go into one decode: all of the batch, as far as it holds them. A recurrent
/// memory takes sequences of one length only, or it would read them interleaved, in several graphs.
std::int64_t LlamaEngine::piece_tokens(std::span<const Sequence> batch, std::size_t sequence,
                                       std::int64_t position) const {
    std::int64_t n = batch[sequence].length() - position;
    const std::int64_t length = n;
    std::int64_t n_source = std::ssize(batch[sequence].source);
    for (std::int64_t n_sequences = 1; ++sequence < batch.size(); ++n_sequences) {
        const std::int64_t next = batch[sequence].length();
        if (recurrent_ &&
            (position > 0 || next != length || n_sequences == n_slots_ || n + next > batch_tokens_))
            break;
        n_source += std::ssize(batch[sequence].source);
        if (whole_ && std::max(n + next, n_source) > batch_tokens_) break;
        n += next;
    }
    return std::min(n, batch_tokens_);
}

/// The sources of the next `n` tokens' sequences, under the same slots: what their decoder attends to.
void LlamaEngine::encode_sources(std::span<const Sequence> batch, std::size_t sequence, std::size_t slot,
                                 std::int64_t n) {
    std::size_t end = sequence;
    std::int64_t n_source = 0;
    for (; n > 0; ++end) {
        n -= batch[end].length();
        n_source += std::ssize(batch[end].source);
    }
    Batch sources = make_batch(n_source, kTokens);
    sources.begin(n_source);
    for (std::int64_t i = 0; sequence < end; ++sequence, ++slot) {
        std::int64_t position = 0;
        for (const std::int32_t token : batch[sequence].source) {
            sources.token(i) = token;
            sources.set(i++, position++, slot);
        }
    }
    clear_llama_errors();
    check_status(llama_encode(context_.get(), sources.raw()));
}

void LlamaEngine::run_piece(Watch& watch, Batch& input) {
    watch_ = &watch;
    try {
        decode(input);
    } catch (...) {
        watch_ = nullptr;
        watch.restore();
        throw;
    }
    watch_ = nullptr;
    watch.restore();
}

}  // namespace

std::unique_ptr<Engine> make_llama_engine(llama_model* raw, const ModelInfo& info,
                                          const EngineOptions& options) {
    return std::make_unique<LlamaEngine>(raw, info, options);
}

}  // namespace tomograph
