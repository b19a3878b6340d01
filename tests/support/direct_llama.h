#pragma once
#include <llama.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "tomograph/base/matrix.h"

namespace tomograph::test {

/// A model in llama.cpp, by its own interface: F32 cache, no flash attention, one thread.
class DirectLlama {
  public:
    DirectLlama(const std::string& path, std::int32_t length) {
        model_ = llama_model_load_from_file(path.c_str(), llama_model_default_params());
        if (model_ == nullptr) throw std::runtime_error("cannot load " + path);
        auto parameters = llama_context_default_params();
        parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = static_cast<std::uint32_t>(length);
        parameters.n_threads = parameters.n_threads_batch = 1;
        parameters.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
        parameters.type_k = parameters.type_v = GGML_TYPE_F32;
        context_ = llama_init_from_model(model_, parameters);
        if (context_ == nullptr) throw std::runtime_error("cannot prepare " + path);
    }
    ~DirectLlama() {
        llama_free(context_);
        llama_model_free(model_);
    }
    DirectLlama(const DirectLlama&) = delete;
    DirectLlama& operator=(const DirectLlama&) = delete;

    llama_context* context() { return context_; }
    const llama_model* model() const { return model_; }

    /// After every token, [n_tokens, n_vocab].
    Matrix logits(std::span<const std::int32_t> tokens) {
        llama_memory_clear(llama_get_memory(context_), false);
        const auto n = static_cast<std::int32_t>(tokens.size());
        llama_batch batch = llama_batch_init(n, 0, 1);
        batch.n_tokens = n;
        for (std::int32_t i = 0; i < n; ++i) {
            batch.token[i] = tokens[static_cast<std::size_t>(i)];
            batch.pos[i] = i;
            batch.n_seq_id[i] = 1;
            batch.seq_id[i][0] = 0;
            batch.logits[i] = 1;
        }
        const std::int32_t status = llama_decode(context_, batch);
        llama_batch_free(batch);
        if (status != 0) throw std::runtime_error("llama_decode failed");
        const std::int32_t n_vocab = llama_vocab_n_tokens(llama_model_get_vocab(model_));
        Matrix all(n, n_vocab);
        for (std::int32_t i = 0; i < n; ++i)
            std::copy_n(llama_get_logits_ith(context_, i), n_vocab, all.row(i).data());
        return all;
    }

  private:
    llama_model* model_ = nullptr;
    llama_context* context_ = nullptr;
};

}  // namespace tomograph::test
