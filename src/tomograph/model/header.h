#pragma once
#include <string>

namespace tomograph {

/// What a GGUF's header says of a model, without its weights.
struct HeaderInfo {
    std::string architecture;  ///< general.architecture, for example "llama"
    std::string type;          ///< of the weights, for example "Q4_K - Medium"; empty where it does not say
};
/// Errors: Error as Model::open has it for a file that is no model.
HeaderInfo read_header(const std::string& path);

}  // namespace tomograph
