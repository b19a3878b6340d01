#include "tomograph/model/engine.h"

#include <fmt/format.h>
#include <ggml-backend.h>
#include <ggml.h>
#include <llama.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <map>
#include <utility>

#include "tomograph/base/error.h"
#include "tomograph/base/threads.h"
#include "tomograph/model/gguf_file.h"
#include "tomograph/model/graph.h"
#include "tomograph/model/record_graph.h"
#include "tomograph/model/sum_check.h"

namespace tomograph {
namespace {

// llama.cpp keeps logits for every token of a batch even when they are never computed, n_batch x n_vocab
// floats twice over. This bounds one copy.
constexpr std::int64_t kLogitBytes = 110'000'000;
constexpr std::int64_t kMaxBatchTokens = 2048;
constexpr std::int64_t kMinBatchTokens = 128;
constexpr std::size_t kMaxSequences = 256;  // llama.cpp's LLAMA_MAX_SEQ
constexpr int kProbeTokens = 4;

struct BatchDeleter {
    void operator()(llama_batch* batch) const {
        llama_batch_free(*batch);
        delete batch;
    }
};
using Batch = std::unique_ptr<llama_batch, BatchDeleter>;

/// How to find the sites while a graph runs, for one kind of input.
struct GraphMap {
    std::vector<SiteNode> sites;
    std::vector<GraphNode::Op> ops;  // of every node, in order
    std::vector<std::string> names;
};

enum Kind { kTokens, kVectors };

/// llama.cpp multiplies positions by the frequency scale; 0 means "the model's own", so a value near it must
/// do. The scale is reset where the scaling type is none, hence linear.
void switch_rope_off(const Model& model, llama_context_params& parameters) {
    constexpr float kNearZero = 1e-9f;
    const std::string& name = model.info().name;
    if (llama_model_rope_type(model.raw()) == LLAMA_ROPE_TYPE_NONE) {
        throw Error("cannot switch rotation off in " + name, "it has no rotary positions", "");
    }
    if (llama_model_n_swa(model.raw()) > 0) {
        throw Error("cannot switch rotation off in " + name,
                    "its sliding-window layers rotate by a scale of their own", "");
    }
    parameters.rope_scaling_type = LLAMA_ROPE_SCALING_TYPE_LINEAR;
    parameters.rope_freq_scale = kNearZero;
}

}  // namespace

struct Engine::State {
    const Model* model = nullptr;
    EngineOptions options;
    llama_context* context = nullptr;
    std::int64_t batch_tokens = 0;
    std::int64_t n_context = 0;
    std::map<Kind, GraphMap> maps;
    std::vector<SiteShape> sites;

    // The batch under way.
    GraphRecorder* recorder = nullptr;
    const GraphMap* map = nullptr;
    std::vector<std::vector<std::size_t>> wanted;  // per node: positions in the list of requested sites
    std::size_t next_node = 0;
    std::size_t last_node = 0;
    std::int64_t first_token = 0;
    std::int64_t n_tokens = 0;
    Tap* tap = nullptr;
    std::size_t n_requested = 0;
    SumCheck* check = nullptr;  // takes the positions from n_requested on
    std::vector<float> gathered;
    std::exception_ptr failure;

    ~State() {
        if (context != nullptr) llama_free(context);
    }

    static bool on_eval(ggml_tensor* t, bool ask, void* self) {
        auto& state = *static_cast<State*>(self);
        if (state.recorder != nullptr) {
            if (ask) state.recorder->add(t);
            return !ask;
        }
        if (state.failure) return false;
        try {
            return ask ? state.want(t) : state.take(t);
        } catch (...) {
            // llama.cpp has state to unwind: the exception goes on once it has returned.
            state.failure = std::current_exception();
            return false;
        }
    }

    static bool on_abort(void* self) {
        const auto& state = *static_cast<State*>(self);
        return state.failure != nullptr || (state.options.stop_requested && state.options.stop_requested());
    }

    bool want(const ggml_tensor* t) {
        const std::size_t node = next_node++;
        // Where several devices share the graph, the next one's part still comes after take() has ended this
        // one's.
        if (node > last_node) return false;
        if (op_of(t) != map->ops[node] || (!wanted[node].empty() && map->names[node] != t->name)) {
            throw Error("llama.cpp changed its graph between batches",
                        fmt::format("node {} is now '{}'", node, t->name), "please report this model");
        }
        return !wanted[node].empty();
    }

    bool take(const ggml_tensor* t) {
        const std::size_t node = next_node - 1;
        const std::int64_t width = ggml_nelements(t) / n_tokens;
        const float* data = values(t);
        for (const std::size_t site : wanted[node]) deliver({site, first_token, n_tokens, width, data});
        // What follows the last wanted node, the product with the vocabulary above all, need not be computed.
        return node < last_node;
    }

    void deliver(const SiteBatch& values) {
        if (values.site < n_requested)
            tap->take(values);
        else
            check->take(values.site - n_requested, values.data,
                        static_cast<std::size_t>(values.n_tokens * values.width));
    }

    const float* values(const ggml_tensor* t) {
        if (t->type != GGML_TYPE_F32) {
            throw Error(fmt::format("cannot record '{}'", t->name),
                        fmt::format("it is {}", ggml_type_name(t->type)), "");
        }
        const bool host =
            ggml_backend_buffer_is_host(t->view_src != nullptr ? t->view_src->buffer : t->buffer);
        if (host && ggml_is_contiguous(t)) return static_cast<const float*>(t->data);
        gathered.resize(static_cast<std::size_t>(ggml_nelements(t)));
        float* out = gathered.data();
        for (std::int64_t i3 = 0; i3 < t->ne[3]; ++i3) {
            for (std::int64_t i2 = 0; i2 < t->ne[2]; ++i2) {
                for (std::int64_t i1 = 0; i1 < t->ne[1]; ++i1) {
                    const std::size_t offset = static_cast<std::size_t>(i1) * t->nb[1] +
                                               static_cast<std::size_t>(i2) * t->nb[2] +
                                               static_cast<std::size_t>(i3) * t->nb[3];
                    ggml_backend_tensor_get(t, out, offset,
                                            static_cast<std::size_t>(t->ne[0]) * sizeof(float));
                    out += t->ne[0];
                }
            }
        }
        return gathered.data();
    }

    Batch make_batch(std::int64_t n, Kind kind) const {
        const auto d_model = static_cast<std::int32_t>(model->info().d_model);
        return Batch(new llama_batch(
            llama_batch_init(static_cast<std::int32_t>(n), kind == kVectors ? d_model : 0, 1)));
    }

    void decode(llama_batch& batch) {
        next_node = 0;
        failure = nullptr;
        clear_llama_errors();
        const std::int32_t status = llama_decode(context, batch);
        if (failure) std::rethrow_exception(std::exchange(failure, nullptr));
        if (status == 2) throw Stopped("the batch under way was dropped");
        if (status != 0)
            throw Error("llama.cpp could not run a batch",
                        fmt::format("{} (status {})", last_llama_error(), status), "");
    }

    const GraphMap& graph_map(Kind kind) {
        if (const auto known = maps.find(kind); known != maps.end()) return known->second;
        const Batch batch = make_batch(kProbeTokens, kind);
        batch->n_tokens = kProbeTokens;
        for (int i = 0; i < kProbeTokens; ++i) {
            if (kind == kTokens)
                batch->token[i] =
                    static_cast<llama_token>(std::min<std::int64_t>(i, model->info().n_vocab - 1));
            batch->pos[i] = i;
            batch->n_seq_id[i] = 1;
            batch->seq_id[i][0] = 0;
            batch->logits[i] = 1;
        }
        if (kind == kVectors) std::fill_n(batch->embd, kProbeTokens * model->info().d_model, 0.0f);
        GraphRecorder seen;
        recorder = &seen;
        llama_memory_clear(llama_get_memory(context), false);
        try {
            decode(*batch);
        } catch (...) {
            recorder = nullptr;
            throw;
        }
        recorder = nullptr;
        GraphMap found;
        found.sites = find_sites(seen.nodes, model->info().d_model, model->info().n_layers);
        const bool same_sites =
            maps.empty() ||
            std::equal(found.sites.begin(), found.sites.end(), sites.begin(), sites.end(),
                       [](const SiteNode& a, const SiteShape& b) { return a.site == b.site; });
        if (!same_sites)
            throw Error(model->info().name + " cannot be run on vectors",
                        "its graph differs from that for tokens", "");
        for (const GraphNode& node : seen.nodes) {
            found.ops.push_back(node.op);
            found.names.push_back(node.name);
        }
        return maps[kind] = std::move(found);
    }
};

Engine::Engine(const Model& model, const EngineOptions& options) : state_(std::make_unique<State>()) {
    const ModelInfo& info = model.info();
    if (options.max_length < 1) throw Error("a sequence needs at least one token", "", "");
    if (info.learned_positions && options.max_length > info.context_length) {
        throw Error(fmt::format("length {} is above the context of {}", options.max_length, info.name),
                    fmt::format("its position table has {} rows", info.context_length),
                    fmt::format("use --length {} or less", info.context_length));
    }
    State& state = *state_;
    state.model = &model;
    state.options = options;
    state.batch_tokens = std::clamp(kLogitBytes / (info.n_vocab * 4), kMinBatchTokens, kMaxBatchTokens);
    // Whole sequences only: room that no sequence fills would still be paid for in logits.
    if (options.max_length < state.batch_tokens)
        state.batch_tokens -= state.batch_tokens % options.max_length;
    state.n_context = std::max<std::int64_t>({state.batch_tokens, options.max_length, kProbeTokens});

    auto parameters = llama_context_default_params();
    parameters.n_ctx = static_cast<std::uint32_t>(state.n_context);
    parameters.n_batch = parameters.n_ubatch = static_cast<std::uint32_t>(state.batch_tokens);
    parameters.n_seq_max = kMaxSequences;
    parameters.kv_unified = true;
    parameters.n_threads = parameters.n_threads_batch = thread_count(options.threads);
    parameters.cb_eval = State::on_eval;
    parameters.cb_eval_user_data = &state;
    parameters.abort_callback = State::on_abort;
    parameters.abort_callback_data = &state;
    if (options.rope_off) switch_rope_off(model, parameters);
    if (options.exact) {
        parameters.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
        parameters.type_k = parameters.type_v = GGML_TYPE_F32;
    }
    clear_llama_errors();
    // The reservation of buffers evaluates no graph, but guards against it: no map exists yet.
    state.context = llama_init_from_model(model.raw(), parameters);
    if (state.context == nullptr)
        throw Error("llama.cpp cannot prepare " + info.name, last_llama_error(), "");
    if (llama_get_memory(state.context) == nullptr) {
        throw Error(info.name + " is an encoder", "only decoder-only language models can be recorded", "");
    }
    for (const SiteNode& node : state.graph_map(kTokens).sites)
        state.sites.push_back({node.site, node.shape});
}

Engine::~Engine() = default;
const std::vector<SiteShape>& Engine::sites() const {
    return state_->sites;
}
std::int64_t Engine::batch_tokens() const {
    return state_->batch_tokens;
}

std::size_t Engine::next_batch(std::span<const Sequence> sequences) const {
    std::int64_t tokens = 0;
    std::size_t count = 0;
    for (const Sequence& sequence : sequences) {
        if (count == kMaxSequences || (count > 0 && tokens + sequence.length() > state_->batch_tokens)) break;
        if (count > 0 && sequence.vectors.empty() != sequences.front().vectors.empty()) break;
        tokens += sequence.length();
        ++count;
    }
    return count;
}

void Engine::run(std::span<const Sequence> batch, std::span<const std::size_t> requested, Tap& tap,
                 bool check_sums) {
    State& state = *state_;
    if (batch.empty()) return;
    const ModelInfo& info = state.model->info();
    const Kind kind = batch.front().vectors.empty() ? kTokens : kVectors;
    std::int64_t total = 0;
    for (const Sequence& sequence : batch) {
        total += sequence.length();
        if (sequence.length() > state.options.max_length) {
            throw Error("a sequence is longer than the engine was made for",
                        fmt::format("{} tokens", sequence.length()), "");
        }
        if (sequence.length() > 0 && sequence.vectors.empty() != (kind == kTokens)) {
            throw Error("a batch mixes tokens and vectors", "", "run them apart");
        }
        if (kind == kVectors) {
            if (static_cast<std::int64_t>(sequence.vectors.size()) == sequence.length() * info.d_model)
                continue;
            throw Error(fmt::format("{} numbers are no vectors of {}", sequence.vectors.size(), info.name),
                        fmt::format("{} positions of {} each are needed", sequence.length(), info.d_model),
                        "");
        }
        for (const std::int32_t token : sequence.tokens) {
            if (token < 0 || token >= info.n_vocab) {
                throw Error(fmt::format("no token {}", token),
                            fmt::format("{} has tokens 0 to {}", info.name, info.n_vocab - 1), "");
            }
        }
    }
    const GraphMap& map = state.graph_map(kind);
    state.map = &map;
    state.tap = &tap;
    state.n_requested = requested.size();
    std::vector<std::size_t> sites(requested.begin(), requested.end());
    SumCheck check(state.sites, info.name);
    state.check = &check;
    if (check_sums) {
        sites.insert(sites.end(), check.watched.begin(), check.watched.end());
    }
    state.wanted.assign(map.ops.size(), {});
    state.last_node = 0;
    std::vector<std::size_t> from_input;
    for (std::size_t position = 0; position < sites.size(); ++position) {
        const int node = map.sites[sites[position]].node;
        if (node < 0) {
            from_input.push_back(position);
            continue;
        }
        state.wanted[static_cast<std::size_t>(node)].push_back(position);
        state.last_node = std::max(state.last_node, static_cast<std::size_t>(node));
    }

    llama_memory_clear(llama_get_memory(state.context), false);
    // One decode holds the whole batch; only a single sequence longer than that is cut, and its cache is
    // kept.
    const std::int64_t step = std::min(total, state.batch_tokens);
    const Batch input = state.make_batch(step, kind);
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
                std::copy_n(from.vectors.data() + position * info.d_model, info.d_model,
                            input->embd + i * info.d_model);
            input->pos[i] = static_cast<llama_pos>(position);
            input->n_seq_id[i] = 1;
            input->seq_id[i][0] = static_cast<llama_seq_id>(sequence);
            input->logits[i] = 1;
            ++position;
        }
        input->n_tokens = static_cast<std::int32_t>(n);
        state.first_token = done;
        state.n_tokens = n;
        for (const std::size_t site : from_input) state.deliver({site, done, n, info.d_model, input->embd});
        if (from_input.size() < sites.size()) state.decode(*input);
        done += n;
    }
}

}  // namespace tomograph
