#include "tomograph/model/gguf_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <span>
#include <string_view>

#include "tomograph/base/error.h"
#include "tomograph/model/model.h"

namespace tomograph {

std::span<const unsigned char> tomograph_model_file(std::string_view name);

ModelFile::ModelFile(const std::string& name_or_path) : path_(name_or_path) {
    const auto& names = embedded_models();
    if (std::find(names.begin(), names.end(), name_or_path) == names.end()) return;
    const auto bytes = tomograph_model_file(name_or_path + ".gguf");
    descriptor_ = ::memfd_create(name_or_path.c_str(), MFD_CLOEXEC);
    if (descriptor_ < 0) throw Error("cannot hold " + name_or_path + " in memory", std::strerror(errno), "");
    std::size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t written = ::write(descriptor_, bytes.data() + done, bytes.size() - done);
        if (written <= 0) {
            const int error = errno;
            ::close(descriptor_);
            throw Error("cannot hold " + name_or_path + " in memory", std::strerror(error), "");
        }
        done += static_cast<std::size_t>(written);
    }
    path_ = fmt::format("/proc/self/fd/{}", descriptor_);
}

ModelFile::~ModelFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

std::optional<std::string> gguf_string(const gguf_context* gguf, const std::string& key) {
    const std::int64_t id = gguf_find_key(gguf, key.c_str());
    if (id < 0 || gguf_get_kv_type(gguf, id) != GGUF_TYPE_STRING) return std::nullopt;
    return gguf_get_val_str(gguf, id);
}

std::optional<std::uint32_t> gguf_count(const gguf_context* gguf, const std::string& key) {
    const std::int64_t id = gguf_find_key(gguf, key.c_str());
    if (id < 0 || gguf_get_kv_type(gguf, id) != GGUF_TYPE_UINT32) return std::nullopt;
    return gguf_get_val_u32(gguf, id);
}

std::string weight_type_name(llama_ftype file_type) {
    std::string type = llama_ftype_name(file_type);
    for (const std::string_view prefix : {"(guessed) ", "all "}) {
        if (type.starts_with(prefix)) type.erase(0, prefix.size());
    }
    return type;
}

bool gguf_denies(const gguf_context* gguf, const std::string& key) {
    const std::int64_t id = gguf_find_key(gguf, key.c_str());
    return id >= 0 && gguf_get_kv_type(gguf, id) == GGUF_TYPE_BOOL && !gguf_get_val_bool(gguf, id);
}

}  // namespace tomograph
