#include "tomograph/model/header.h"

#include <llama.h>

#include "tomograph/model/gguf_file.h"
#include "tomograph/model/llama_log.h"

namespace tomograph {

HeaderInfo read_header(const std::string& path) {
    start_llama();
    const auto parts = open_parts(path, path);
    const gguf_context* gguf = parts.front().gguf.get();
    HeaderInfo info{.architecture = gguf_string(gguf, "general.architecture").value_or("")};
    if (const auto type = gguf_count(gguf, "general.file_type"))
        info.type = weight_type_name(static_cast<llama_ftype>(*type));
    return info;
}

}  // namespace tomograph
