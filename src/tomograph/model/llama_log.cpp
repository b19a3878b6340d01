#include "tomograph/model/llama_log.h"

#include <llama.h>

#include <mutex>
#include <string_view>
#include <utility>

#include "tomograph/model/products.h"

namespace tomograph {
namespace {

std::mutex log_mutex;
std::string last_error;

// Warnings come in pieces, and from the thread that called llama.cpp.
thread_local std::string warnings;
thread_local bool warning = false;
thread_local std::function<void(const std::string&)> listener;

void keep_error(std::string_view text) {
    std::string line(text);
    while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) line.pop_back();
    if (line.empty()) return;
    const std::lock_guard lock(log_mutex);
    // The first error of a call names the cause; what follows is its echo on the way up.
    if (last_error.empty()) last_error = line;
}

void hear(ggml_log_level level, const char* text, void*) {
    if (level != GGML_LOG_LEVEL_CONT) warning = level == GGML_LOG_LEVEL_WARN;
    if (warning) warnings += text;
    if (level == GGML_LOG_LEVEL_ERROR) keep_error(text);
    if (level == GGML_LOG_LEVEL_INFO && listener) listener(text);
}

}  // namespace

void start_llama() {
    static std::once_flag once;
    std::call_once(once, [] {
        llama_log_set(hear, nullptr);
        llama_backend_init();
        register_products();
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
        const bool echo = head == "error loading model" || head == "error loading model vocabulary" ||
                          head == "failed to quantize";
        if (head.size() == error.size() || !(function || echo)) break;
        error.erase(0, head.size() + 2);
    }
    return error;
}

std::vector<std::string> take_llama_warnings() {
    const std::string text = std::exchange(warnings, {});
    std::vector<std::string> lines;
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = std::min(text.find('\n', begin), text.size());
        std::string line = text.substr(begin, end - begin);
        while (!line.empty() && line.back() == ' ') line.pop_back();
        if (!line.empty()) lines.push_back(std::move(line));
        begin = end + 1;
    }
    return lines;
}

LlamaListener::LlamaListener(std::function<void(const std::string&)> hear) {
    listener = std::move(hear);
}
LlamaListener::~LlamaListener() {
    listener = nullptr;
}

}  // namespace tomograph
