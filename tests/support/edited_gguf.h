#pragma once
#include <ggml.h>
#include <gguf.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>

namespace tomograph::test {

/// A copy of a GGUF whose header `edit` has changed; the tensors are as they were.
inline std::filesystem::path edited_gguf(const std::string& from, const std::filesystem::path& to,
                                         const std::function<void(gguf_context*)>& edit) {
    ggml_context* raw = nullptr;
    const std::unique_ptr<gguf_context, decltype(&gguf_free)> file(
        gguf_init_from_file(from.c_str(), {.no_alloc = false, .ctx = &raw}), &gguf_free);
    const std::unique_ptr<ggml_context, decltype(&ggml_free)> tensors(raw, &ggml_free);
    if (!file) throw std::runtime_error("cannot read " + from);
    const std::unique_ptr<gguf_context, decltype(&gguf_free)> out(gguf_init_empty(), &gguf_free);
    gguf_set_kv(out.get(), file.get());
    edit(out.get());
    for (ggml_tensor* t = ggml_get_first_tensor(raw); t != nullptr; t = ggml_get_next_tensor(raw, t)) {
        if (gguf_find_tensor(file.get(), t->name) >= 0) gguf_add_tensor(out.get(), t);
    }
    if (!gguf_write_to_file(out.get(), to.c_str(), false))
        throw std::runtime_error("cannot write " + to.string());
    return to;
}

}  // namespace tomograph::test
