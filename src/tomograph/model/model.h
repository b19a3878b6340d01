#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tomograph/base/json.h"
#include "tomograph/base/matrix.h"

struct llama_model;

namespace tomograph {

/// What a GGUF's header says of the model.
struct ModelInfo {
    std::string name;          ///< general.name, or the file's stem
    std::string path;          ///< as given; "bytes-gpt2" for an embedded model
    std::string architecture;  ///< general.architecture, for example "llama"
    std::string type;          ///< weight type, for example "Q4_1"
    std::int64_t d_model = 0;
    int n_layers = 0;
    int n_heads = 0;
    int n_kv_heads = 0;
    std::int64_t context_length = 0;
    std::int64_t n_vocab = 0;
    std::uint64_t n_parameters = 0;
    std::uint64_t file_bytes = 0;
    bool learned_positions = false;  ///< a position table: lengths above context_length are impossible
    bool adds_start_token = false;   ///< the GGUF says that sequences begin with start_token
    std::int32_t start_token = -1;   ///< -1: the header names none
};

/// An open model: weights and vocabulary. Several engines may share one.
class Model {
  public:
    /// `name_or_path` is a GGUF file, or "bytes-gpt2" or "bytes-llama", which are part of the program.
    /// Errors: Error when the file is missing, truncated, not a GGUF, or not a decoder-only language model.
    static Model open(const std::string& name_or_path);
    Model(Model&&) noexcept;
    Model& operator=(Model&&) noexcept;
    ~Model();

    const ModelInfo& info() const;
    /// Token ids of `text`, without a start token; special tokens in the text are plain text, and bytes that
    /// are not UTF-8 are U+FFFD. Errors: Error when the model has no vocabulary.
    std::vector<std::int32_t> tokenize(std::string_view text) const;
    /// The bytes that a token stands for: may be a part of a UTF-8 character. Errors: id out of range.
    std::string piece(std::int32_t token) const;
    /// Rows of the token embedding table, dequantised, [ids.size(), d_model]. Errors: id out of range.
    Matrix token_embeddings(const std::vector<std::int32_t>& ids) const;
    /// Mean of the whole token embedding table, [d_model].
    Vector mean_token_embedding() const;

    /// XXH3 of the file's bytes, 128 bits in hexadecimal: what `xxhsum -H2 FILE` prints. Reads all of it.
    std::string checksum() const;
    /// What runs the model, and what its numbers may depend on: name, version, commit, the processor's
    /// instructions in use.
    Json backend() const;

    llama_model* raw() const;  ///< for the model room's own use

  private:
    struct State;
    explicit Model(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

/// Names of the models inside the program.
const std::vector<std::string>& embedded_models();

/// Called with llama.cpp's last words before it ends the process, which it does on inputs that no check here
/// foresaw. The handler may not return to llama.cpp.
void set_fatal_handler(void (*handler)(const char* message));

/// Write `in` with other weight types, by llama.cpp's own quantisation; already quantised input is allowed.
/// `type`: f32, f16, q8_0, q5_0 or q4_0. The output appears complete or not at all.
/// Errors: Error on a bad input or type, an output that is the input, or a full disk.
void quantize(const std::string& in, const std::filesystem::path& out, const std::string& type, int threads);

}  // namespace tomograph
