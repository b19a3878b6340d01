#include "tomograph/engine/model_info.h"

namespace tomograph {

Json model_json(const ModelInfo& info) {
    Json json = {{"name", info.name},
                 {"path", info.path},
                 {"architecture", info.architecture},
                 {"type", info.type},
                 {"d_model", info.d_model},
                 {"n_layers", info.n_layers},
                 {"n_heads", info.n_heads},
                 {"n_kv_heads", info.n_kv_heads},
                 {"context_length", info.context_length},
                 {"n_vocab", info.n_vocab},
                 {"n_parameters", info.n_parameters},
                 {"file_bytes", info.file_bytes},
                 {"learned_positions", info.learned_positions}};
    if (!info.held.empty()) json["held"] = info.held;
    if (!info.causal) json["causal"] = false;
    if (!info.side.empty()) json["side"] = info.side;
    if (info.n_files > 1) json["n_files"] = info.n_files;
    if (!info.twin.empty()) json["twin"] = info.twin;
    return json;
}

}  // namespace tomograph
