#include "tomograph/model/model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <ggml.h>
#include <llama.h>
#include <unistd.h>

#include <cstring>
#include <mutex>
#include <span>
#include <utility>

#include "tomograph/base/checksum.h"
#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/linear/blas.h"
#include "tomograph/model/gguf_file.h"
#include "tomograph/model/graphics.h"
#include "tomograph/model/llama_continuation.h"
#include "tomograph/model/llama_engine.h"
#include "tomograph/model/llama_log.h"
#include "tomograph/model/llama_vocabulary.h"
#include "tomograph/model/products.h"
#include "tomograph/model/quantize.h"
#include "tomograph/model/vocabulary_notes.h"
#include "tomograph/model/weight_layout.h"
#include "tomograph/model/workers.h"

namespace tomograph {
namespace {

constexpr const char* kTokenTable = "token_embd.weight";
constexpr const char* kPositionTable = "position_embd.weight";

/// What a file says of its own weights.
std::string stored_type(const gguf_context* gguf) {
    const auto type = gguf_count(gguf, "general.file_type");
    return type ? weight_type_name(static_cast<llama_ftype>(*type)) : "unknown";
}

}  // namespace

struct Model::State {
    std::unique_ptr<ModelFile> file;
    std::vector<ModelPart> parts;
    llama_model* model = nullptr;
    int decoded = -1;  // a file in memory that `model` was loaded from in place of `file`
    ModelInfo info;
    std::unique_ptr<LlamaVocabulary> vocabulary;
    std::once_flag summed;
    std::string checksum;  // once it was asked for
    ~State() {
        if (model != nullptr) llama_model_free(model);
        if (decoded >= 0) ::close(decoded);
    }

    /// How the weights are to be held, once "auto" has been decided.
    HeldWeights decide(HeldWeights wanted) const {
        if (wanted == HeldWeights::as_stored) return wanted;
        // A graphics card's own kernels read them as they are stored, and its memory is short.
        if (wanted == HeldWeights::automatic && gpu_layers() != 0 && !graphics_cards().empty())
            return HeldWeights::as_stored;
        bool decoded_already = true;
        std::uint64_t n_parameters = 0;
        for (const ModelPart& part : parts) {
            const gguf_context* gguf = part.gguf.get();
            for (std::int64_t i = 0; i < gguf_get_n_tensors(gguf); ++i) {
                const auto n = gguf_get_tensor_ne(gguf, i);
                const ggml_type type = gguf_get_tensor_type(gguf, i);
                decoded_already = decoded_already && type == GGML_TYPE_F32;
                n_parameters += static_cast<std::uint64_t>(n[0] * n[1] * n[2] * n[3]);
            }
        }
        // A second copy of the same numbers would be nothing but memory.
        if (decoded_already) return HeldWeights::as_stored;
        return wanted == HeldWeights::f32 || decoded_fits(n_parameters) ? HeldWeights::f32
                                                                        : HeldWeights::as_stored;
    }

    /// The file that holds a tensor; null where none does.
    const ModelPart* part_with(const char* tensor) const {
        for (const ModelPart& part : parts) {
            if (gguf_find_tensor(part.gguf.get(), tensor) >= 0) return &part;
        }
        return nullptr;
    }

    /// Call `take(row, values)` for each row id, dequantised.
    template <class Take>
    void read_rows(const char* table, std::span<const std::int64_t> ids, Take take) const {
        const ModelPart* part = part_with(table);
        if (part == nullptr) throw Error("this model has no token embedding table", "", "");
        const gguf_context* gguf = part->gguf.get();
        const std::int64_t id = gguf_find_tensor(gguf, table);
        const auto* traits = ggml_get_type_traits(gguf_get_tensor_type(gguf, id));
        const MappedFile mapped(part->path);
        const std::int64_t n_rows = gguf_get_tensor_ne(gguf, id)[1];
        const std::size_t row_bytes = gguf_get_tensor_size(gguf, id) / static_cast<std::size_t>(n_rows);
        const std::byte* base =
            mapped.bytes().data() + gguf_get_data_offset(gguf) + gguf_get_tensor_offset(gguf, id);
        std::vector<float> values(static_cast<std::size_t>(info.d_model));
        for (std::size_t i = 0; i < ids.size(); ++i) {
            const std::byte* row = base + static_cast<std::size_t>(ids[i]) * row_bytes;
            if (traits->to_float != nullptr)
                traits->to_float(row, values.data(), info.d_model);
            else
                std::memcpy(values.data(), row, values.size() * sizeof(float));
            take(static_cast<std::int64_t>(i), values);
        }
    }
};

Model::Model(std::unique_ptr<State> state) : state_(std::move(state)) {}
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;
Model::~Model() = default;
const ModelInfo& Model::info() const {
    return state_->info;
}
const Vocabulary& Model::vocabulary() const {
    return *state_->vocabulary;
}
std::unique_ptr<Engine> Model::make_engine(const EngineOptions& options) const {
    return make_llama_engine(state_->model, state_->info, options);
}
std::unique_ptr<Continuation> Model::make_continuation(const EngineOptions& options) const {
    return make_llama_continuation(state_->model, state_->info, options);
}

Model Model::open(const std::string& name_or_path, HeldWeights weights, int threads, Side side) {
    start_llama();
    auto state = std::make_unique<State>();
    state->file = std::make_unique<ModelFile>(name_or_path);
    state->parts = open_parts(state->file->path(), name_or_path);
    const gguf_context* gguf = state->parts.front().gguf.get();

    auto parameters = llama_model_default_params();
    parameters.n_gpu_layers = gpu_layers();
    clear_llama_errors();
    take_llama_warnings();
    std::string path = state->file->path();
    weights = state->decide(weights);
    if (weights == HeldWeights::f32) {
        state->decoded = decode_into_memory(name_or_path, threads);
        path = fmt::format("/proc/self/fd/{}", state->decoded);
    } else if (laid_out_anew(state->parts)) {
        parameters.load_mode = LLAMA_LOAD_MODE_NONE;  // read into its own memory, not mapped as well
    }
    state->model = llama_model_load_from_file(path.c_str(), parameters);
    if (state->model == nullptr) {
        const std::string why = last_llama_error();
        throw Error("llama.cpp cannot load " + name_or_path, why,
                    why.starts_with("unknown pre-tokenizer")
                        ? "it cannot split text as this model wants it: convert the model again, or use a "
                          "newer llama.cpp"
                        : "it may be no language model, or need a newer llama.cpp");
    }
    const auto notes = vocabulary_notes(take_llama_warnings());
    const llama_model* model = state->model;
    const llama_vocab* vocab = llama_model_get_vocab(model);
    ModelInfo& info = state->info;
    info.path = name_or_path;
    info.architecture = gguf_string(gguf, "general.architecture").value_or("");
    info.name =
        gguf_string(gguf, "general.name").value_or(std::filesystem::path(name_or_path).stem().string());
    info.type = weight_type_name(llama_model_ftype(model));
    if (state->decoded >= 0) {
        const std::string held = std::exchange(info.type, stored_type(gguf));
        if (held != info.type) info.held = held;
    }
    info.d_model = llama_model_n_embd(model);
    info.n_layers = llama_model_n_layer(model);
    info.n_heads = llama_model_n_head(model);
    info.n_kv_heads = llama_model_n_head_kv(model);
    info.context_length = llama_model_n_ctx_train(model);
    info.n_vocab = llama_vocab_n_tokens(vocab);
    info.n_parameters = llama_model_n_params(model);
    info.n_files = static_cast<int>(state->parts.size());
    for (const ModelPart& part : state->parts) info.file_bytes += std::filesystem::file_size(part.path);
    info.twin = gguf_string(gguf, kTwinKey).value_or("");
    info.learned_positions = state->part_with(kPositionTable) != nullptr;
    const bool decodes = llama_model_has_decoder(model);
    const bool two_sides = decodes && llama_model_has_encoder(model);
    info.causal = decodes && !gguf_denies(gguf, info.architecture + ".attention.causal");
    if (two_sides && side == Side::target) {
        info.side = "target";
        if (const auto count = gguf_count(gguf, info.architecture + ".decoder_block_count"))
            info.n_layers = static_cast<int>(*count);
    } else if (two_sides) {
        info.side = "source";
        info.causal = false;
    } else if (side == Side::target) {
        throw Error(name_or_path + " has no target side", "it has no encoder beside its decoder", "");
    }
    state->vocabulary = std::make_unique<LlamaVocabulary>(vocab, gguf, info, notes);
    if (info.side == "target") state->vocabulary->set_target_start(llama_model_decoder_start_token(model));
    return Model(std::move(state));
}

Matrix Model::token_embeddings(const std::vector<std::int32_t>& ids) const {
    std::vector<std::int64_t> rows;
    for (const std::int32_t id : ids) {
        check_token(id, info().name, info().n_vocab);
        rows.push_back(id);
    }
    Matrix table(static_cast<Eigen::Index>(ids.size()), info().d_model);
    state_->read_rows(kTokenTable, rows, [&](std::int64_t row, const std::vector<float>& values) {
        table.row(row) = Eigen::Map<const Eigen::RowVectorXf>(values.data(), info().d_model);
    });
    return table;
}

Vector Model::mean_token_embedding() const {
    std::vector<std::int64_t> rows(static_cast<std::size_t>(info().n_vocab));
    for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<std::int64_t>(i);
    VectorD sum = VectorD::Zero(info().d_model);
    state_->read_rows(kTokenTable, rows, [&](std::int64_t, const std::vector<float>& values) {
        sum += Eigen::Map<const Vector>(values.data(), info().d_model).cast<double>();
    });
    return (sum / static_cast<double>(rows.size())).cast<float>();
}

std::string Model::checksum() const {
    std::call_once(state_->summed, [this] {
        std::string sums;
        for (const ModelPart& part : state_->parts) sums += file_checksum(part.path).xxh3_128;
        state_->checksum = state_->parts.size() == 1 ? sums : xxh3_128(std::as_bytes(std::span(sums)));
    });
    return state_->checksum;
}

Json llama_build() {
    Json json = {{"name", "llama.cpp"},
                 {"ggml", ggml_version()},
                 {"release", TOMOGRAPH_LLAMA_RELEASE},
                 {"system", llama_print_system_info()},
                 {"float32_products", register_products() ? blas_description() : "ggml"}};
    if (const auto cards = graphics_cards(); !cards.empty())
        json["graphics_cards"] = fmt::format("{}", fmt::join(cards, ", "));
    if (!workers().empty()) json["workers"] = fmt::format("{}", fmt::join(workers(), ","));
    return json;
}

Json Model::backend() const {
    return llama_build();
}

const std::vector<std::string>& embedded_models() {
    static const std::vector<std::string> names{"bytes-gpt2", "bytes-llama"};
    return names;
}

void set_fatal_handler(void (*handler)(const char*)) {
    ggml_set_abort_callback(handler);
}

}  // namespace tomograph
