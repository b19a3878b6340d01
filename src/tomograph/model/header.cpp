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
    const std::int64_t id = gguf_find_key(gguf, "general.file_type");
    if (id >= 0 && gguf_get_kv_type(gguf, id) == GGUF_TYPE_UINT32)
        info.type = weight_type_name(static_cast<llama_ftype>(gguf_get_val_u32(gguf, id)));
    return info;
}

}  // namespace tomograph
