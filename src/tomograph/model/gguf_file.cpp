#include "tomograph/model/gguf_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <llama.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <span>
#include <string_view>

#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/model/gguf_check.h"
#include "tomograph/model/model.h"

namespace tomograph {

std::span<const unsigned char> tomograph_model_file(std::string_view name);

namespace {

std::mutex log_mutex;
std::string last_error;

void keep_errors(ggml_log_level level, const char* text, void*) {
    if (level != GGML_LOG_LEVEL_ERROR) return;
    std::string line(text);
    while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) line.pop_back();
    if (line.empty()) return;
    const std::lock_guard lock(log_mutex);
    // The first error of a call names the cause; what follows is its echo on the way up.
    if (last_error.empty()) last_error = line;
}

}  // namespace

void start_llama() {
    static std::once_flag once;
    std::call_once(once, [] {
        llama_log_set(keep_errors, nullptr);
        llama_backend_init();
    });
}

void clear_llama_errors() {
    const std::lock_guard lock(log_mutex);
    last_error.clear();
}

std::string last_llama_error() {
    const std::lock_guard lock(log_mutex);
    std::string error = last_error;
    // Drop what stands before the cause: "llama_model_load: error loading model: check_tensor_dims: ...".
    while (true) {
        const std::string_view head = std::string_view(error).substr(0, error.find(": "));
        const bool function =
            head.find('_') != std::string_view::npos && head.find(' ') == std::string_view::npos;
        const bool echo = head == "error loading model" || head == "failed to quantize";
        if (head.size() == error.size() || !(function || echo)) break;
        error.erase(0, head.size() + 2);
    }
    return error;
}

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

Gguf open_gguf(const std::string& path, const std::string& shown) {
    namespace fs = std::filesystem;
    std::error_code error;
    if (!fs::exists(path, error)) {
        throw Error("no model at " + shown, "no such file",
                    "give a .gguf file, or bytes-gpt2 or bytes-llama, which are built in");
    }
    if (fs::is_directory(path, error))
        throw Error(shown + " is not a model", "it is a folder", "give a .gguf file");
    if (!fs::is_regular_file(path, error))
        throw Error(shown + " is not a model", "it is no regular file", "give a .gguf file");
    std::array<char, 4> magic{};
    std::ifstream file(path, std::ios::binary);
    if (!file) throw Error("cannot read " + shown, std::strerror(errno), "");
    file.read(magic.data(), magic.size());
    if (std::string_view(magic.data(), 4) != "GGUF") {
        throw Error(shown + " is not a GGUF file", "it does not begin with the letters GGUF",
                    "convert the model with llama.cpp's convert_hf_to_gguf.py");
    }
    file.close();
    check_gguf(MappedFile(path).bytes(), shown);
    clear_llama_errors();
    Gguf gguf(gguf_init_from_file(path.c_str(), {.no_alloc = true, .ctx = nullptr}));
    if (!gguf)
        throw Error("cannot read the header of " + shown, last_llama_error(),
                    "the file is cut or damaged; download it again");
    const auto architecture = gguf_string(gguf.get(), "general.architecture");
    if (!architecture)
        throw Error(shown + " is not a language model", "its header names no architecture", "");
    return gguf;
}

std::optional<std::string> gguf_string(const gguf_context* gguf, const std::string& key) {
    const std::int64_t id = gguf_find_key(gguf, key.c_str());
    if (id < 0 || gguf_get_kv_type(gguf, id) != GGUF_TYPE_STRING) return std::nullopt;
    return gguf_get_val_str(gguf, id);
}

bool gguf_denies(const gguf_context* gguf, const std::string& key) {
    const std::int64_t id = gguf_find_key(gguf, key.c_str());
    return id >= 0 && gguf_get_kv_type(gguf, id) == GGUF_TYPE_BOOL && !gguf_get_val_bool(gguf, id);
}

bool gguf_has_tensor(const gguf_context* gguf, const std::string& name) {
    return gguf_find_tensor(gguf, name.c_str()) >= 0;
}

}  // namespace tomograph
