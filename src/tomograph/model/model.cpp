#include "tomograph/model/model.h"

#include <fmt/format.h>
#include <ggml.h>
#include <llama.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <utility>

#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/base/text.h"
#include "tomograph/model/gguf_file.h"

namespace tomograph {
namespace {

constexpr const char* kTokenTable = "token_embd.weight";
constexpr const char* kPositionTable = "position_embd.weight";

void start_llama() {
    static std::once_flag once;
    std::call_once(once, [] {
        capture_llama_log();
        llama_backend_init();
    });
}

/// "F32", "Q4_1", "Q4_K - Medium".
std::string weight_type(const llama_model* model) {
    std::string type = llama_ftype_name(llama_model_ftype(model));
    for (const std::string_view prefix : {"(guessed) ", "all "}) {
        if (type.starts_with(prefix)) type.erase(0, prefix.size());
    }
    return type;
}

/// Where its header names no start token, llama.cpp takes GPT-2's number 11, whatever token that is here.
std::int32_t start_token(const gguf_context* gguf, const llama_vocab* vocab) {
    const llama_token token = llama_vocab_bos(vocab);
    const bool named = gguf_find_key(gguf, "tokenizer.ggml.bos_token_id") >= 0;
    return token >= 0 && (named || llama_vocab_is_control(vocab, token)) ? token : -1;
}

}  // namespace

struct Model::State {
    std::unique_ptr<ModelFile> file;
    Gguf gguf;
    llama_model* model = nullptr;
    const llama_vocab* vocab = nullptr;
    ModelInfo info;
    ~State() {
        if (model != nullptr) llama_model_free(model);
    }

    /// Call `take(row, values)` for each row id, dequantised.
    template <class Take>
    void read_rows(const char* table, std::span<const std::int64_t> ids, Take take) const {
        const std::int64_t id = gguf_find_tensor(gguf.get(), table);
        if (id < 0) throw Error("this model has no token embedding table", "", "");
        const auto* traits = ggml_get_type_traits(gguf_get_tensor_type(gguf.get(), id));
        const MappedFile mapped(file->path());
        const std::int64_t n_rows = gguf_get_tensor_ne(gguf.get(), id)[1];
        const std::size_t row_bytes = gguf_get_tensor_size(gguf.get(), id) / static_cast<std::size_t>(n_rows);
        const std::byte* base =
            mapped.bytes().data() + gguf_get_data_offset(gguf.get()) + gguf_get_tensor_offset(gguf.get(), id);
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
llama_model* Model::raw() const {
    return state_->model;
}

Model Model::open(const std::string& name_or_path) {
    start_llama();
    auto state = std::make_unique<State>();
    state->file = std::make_unique<ModelFile>(name_or_path);
    state->gguf = open_gguf(state->file->path(), name_or_path);

    auto parameters = llama_model_default_params();
    clear_llama_errors();
    state->model = llama_model_load_from_file(state->file->path().c_str(), parameters);
    if (state->model == nullptr) {
        throw Error("llama.cpp cannot load " + name_or_path, last_llama_error(),
                    "it may be no language model, or need a newer llama.cpp");
    }
    const llama_model* model = state->model;
    state->vocab = llama_model_get_vocab(model);
    ModelInfo& info = state->info;
    info.path = name_or_path;
    info.architecture = gguf_string(state->gguf.get(), "general.architecture").value_or("");
    info.name = gguf_string(state->gguf.get(), "general.name")
                    .value_or(std::filesystem::path(name_or_path).stem().string());
    info.type = weight_type(model);
    info.d_model = llama_model_n_embd(model);
    info.n_layers = llama_model_n_layer(model);
    info.n_heads = llama_model_n_head(model);
    info.n_kv_heads = llama_model_n_head_kv(model);
    info.context_length = llama_model_n_ctx_train(model);
    info.n_vocab = llama_vocab_n_tokens(state->vocab);
    info.n_parameters = llama_model_n_params(model);
    info.file_bytes = std::filesystem::file_size(state->file->path());
    info.learned_positions = gguf_has_tensor(state->gguf.get(), kPositionTable);
    info.start_token = start_token(state->gguf.get(), state->vocab);
    info.adds_start_token = llama_vocab_get_add_bos(state->vocab) && info.start_token >= 0;

    const bool both_ways = gguf_denies(state->gguf.get(), info.architecture + ".attention.causal");  // BERT
    if (both_ways || llama_model_has_encoder(model) || !llama_model_has_decoder(model)) {
        throw Error(name_or_path + " has an encoder", "only decoder-only language models can be recorded",
                    "");
    }
    if (llama_model_is_recurrent(model) || llama_model_is_hybrid(model)) {
        throw Error(name_or_path + " is a recurrent model",
                    "only transformers, whose every layer attends, can be recorded", "");
    }
    return Model(std::move(state));
}

std::vector<std::int32_t> Model::tokenize(std::string_view bytes) const {
    if (llama_vocab_type(state_->vocab) == LLAMA_VOCAB_TYPE_NONE) {
        throw Error(info().path + " has no vocabulary", "text cannot be cut into tokens", "");
    }
    // llama.cpp replaces most bytes that belong to no character and throws at others.
    const std::string text = valid_utf8(bytes);
    std::vector<llama_token> tokens(text.size() + 8);
    const auto size = static_cast<std::int32_t>(text.size());
    std::int32_t n = llama_tokenize(state_->vocab, text.data(), size, tokens.data(),
                                    static_cast<std::int32_t>(tokens.size()), false, false);
    if (n < 0) {
        tokens.resize(static_cast<std::size_t>(-n));
        n = llama_tokenize(state_->vocab, text.data(), size, tokens.data(), -n, false, false);
    }
    tokens.resize(static_cast<std::size_t>(n));
    return tokens;
}

std::string Model::piece(std::int32_t token) const {
    if (token < 0 || token >= info().n_vocab) {
        throw Error(fmt::format("no token {}", token),
                    fmt::format("{} has tokens 0 to {}", info().name, info().n_vocab - 1), "");
    }
    if (llama_vocab_type(state_->vocab) == LLAMA_VOCAB_TYPE_NONE) return fmt::format("<{}>", token);
    std::string bytes(32, '\0');
    std::int32_t n = llama_token_to_piece(state_->vocab, token, bytes.data(),
                                          static_cast<std::int32_t>(bytes.size()), 0, true);
    if (n < 0) {
        bytes.resize(static_cast<std::size_t>(-n));
        n = llama_token_to_piece(state_->vocab, token, bytes.data(), -n, 0, true);
    }
    bytes.resize(static_cast<std::size_t>(n));
    return bytes;
}

Matrix Model::token_embeddings(const std::vector<std::int32_t>& ids) const {
    std::vector<std::int64_t> rows;
    for (const std::int32_t id : ids) {
        if (id < 0 || id >= info().n_vocab)
            throw Error(fmt::format("no token {}", id),
                        fmt::format("{} has tokens 0 to {}", info().name, info().n_vocab - 1), "");
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

const std::vector<std::string>& embedded_models() {
    static const std::vector<std::string> names{"bytes-gpt2", "bytes-llama"};
    return names;
}

void set_fatal_handler(void (*handler)(const char*)) {
    ggml_set_abort_callback(handler);
}

void quantize(const std::string& in, const std::filesystem::path& out, const std::string& type, int threads) {
    static const std::vector<std::pair<std::string, llama_ftype>> types{{"f32", LLAMA_FTYPE_ALL_F32},
                                                                        {"f16", LLAMA_FTYPE_MOSTLY_F16},
                                                                        {"q8_0", LLAMA_FTYPE_MOSTLY_Q8_0},
                                                                        {"q5_0", LLAMA_FTYPE_MOSTLY_Q5_0},
                                                                        {"q4_0", LLAMA_FTYPE_MOSTLY_Q4_0}};
    auto parameters = llama_model_quantize_default_params();
    bool known = false;
    for (const auto& [name, ftype] : types) {
        if (name != type) continue;
        parameters.ftype = ftype;
        known = true;
    }
    if (!known) throw Error("no weight type '" + type + "'", "", "use f32, f16, q8_0, q5_0 or q4_0");
    start_llama();
    const ModelFile source(in);
    open_gguf(source.path(), in);
    std::error_code error;
    if (std::filesystem::equivalent(source.path(), out, error))
        throw Error("cannot quantize " + in + " onto itself", "", "name another output");
    parameters.nthread = threads;
    parameters.allow_requantize = true;
    const auto cut = [&] {
        return Error("cannot write " + out.string(), "it was cut", "free some disk space or write elsewhere");
    };
    AtomicFile file(out);
    clear_llama_errors();
    if (llama_model_quantize(source.path().c_str(), file.temporary().c_str(), &parameters) != 0) {
        const std::string why = last_llama_error();
        if (why.find("iostream") != std::string::npos) throw cut();
        throw Error("cannot quantize " + in, why, "");
    }
    // llama.cpp may not notice a full disk: the file's own header says how long it should be.
    try {
        open_gguf(file.temporary().string(), out.string());
    } catch (const Error&) {
        throw cut();
    }
    file.commit();
}

}  // namespace tomograph
