#pragma once
#include <cstdint>
#include <string>

#include "tomograph/base/json.h"

namespace tomograph {

/// What a model's header says of it.
struct ModelInfo {
    std::string name;          ///< general.name, or the file's stem
    std::string path;          ///< as given; "bytes-gpt2" for an embedded model
    std::string architecture;  ///< general.architecture, for example "llama"
    std::string type;          ///< weight type, for example "Q4_1"
    std::string held;          ///< "F32" where they were decoded for computing, else empty
    std::int64_t d_model = 0;
    int n_layers = 0;
    int n_heads = 0;
    int n_kv_heads = 0;
    std::int64_t context_length = 0;
    std::int64_t n_vocab = 0;
    std::uint64_t n_parameters = 0;
    std::uint64_t file_bytes = 0;  ///< of all its files
    int n_files = 1;               ///< a large model is cut into parts
    std::string twin;              ///< "gaussian" or "spectrum" of an untrained twin, else empty
    bool causal = true;            ///< false: every token sees all of its sequence, and none is predicted
    /// Of an encoder and a decoder in one file, which this is: "source", the encoder, or "target", the
    /// decoder, which reads a source beside its own tokens. Empty: there is one side only.
    std::string side;
    bool learned_positions = false;  ///< a position table: lengths above context_length are impossible
};

/// The same, as files and `info --json` say it: one key a field, in this order; n_files only where there are
/// several, `held` only where it is another type than `type`, `twin` only of a twin, `causal` only where it
/// is not, `side` only where there are two.
Json model_json(const ModelInfo& info);

}  // namespace tomograph
