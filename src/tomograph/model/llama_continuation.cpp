#include "tomograph/model/llama_continuation.h"

#include <fmt/format.h>

#include <algorithm>

#include "tomograph/base/error.h"
#include "tomograph/model/context.h"
#include "tomograph/model/gguf_file.h"
#include "tomograph/model/llama_log.h"

namespace tomograph {
namespace {

constexpr std::int64_t kPromptTokens = 512;  // of a prompt that are read at once

class LlamaContinuation final : public Continuation {
  public:
    LlamaContinuation(llama_model* model, const ModelInfo& info, const EngineOptions& options)
        : info_(info), options_(options) {
        if (!info.causal)
            throw Error(info.name + " does not go on with a text",
                        "its tokens see those that follow them, and none is predicted", "");
        auto parameters = context_parameters(model, info, options_);
        parameters.n_ctx = static_cast<std::uint32_t>(options.max_length);
        // An encoder reads a source whole.
        parameters.n_batch = parameters.n_ubatch = static_cast<std::uint32_t>(
            reads_source() ? options.max_length : std::min(kPromptTokens, options.max_length));
        parameters.abort_callback = [](void* self) {
            const auto& stop = static_cast<LlamaContinuation*>(self)->options_.stop_requested;
            return stop && stop();
        };
        parameters.abort_callback_data = this;
        clear_llama_errors();
        context_.reset(llama_init_from_model(model, parameters));
        if (!context_) throw Error("llama.cpp cannot prepare " + info.name, last_llama_error(), "");
    }

    void restart(std::span<const std::int32_t> source) override {
        llama_memory_clear(llama_get_memory(context_.get()), false);
        n_read_ = 0;
        if (reads_source() != !source.empty()) {
            throw Error(
                info_.name + (reads_source() ? " does not go on with a text by itself" : " reads no source"),
                reads_source() ? "its decoder reads a source beside it"
                               : "it has no encoder beside a decoder",
                reads_source() ? "give targets, as lines of --jsonl" : "");
        }
        if (source.empty()) return;
        check_length(std::ssize(source));
        for (const std::int32_t token : source) check_token(token, info_.name, info_.n_vocab);
        std::vector<llama_token> copy(source.begin(), source.end());
        clear_llama_errors();
        check(llama_encode(context_.get(),
                           llama_batch_get_one(copy.data(), static_cast<std::int32_t>(copy.size()))));
    }

    std::span<const float> read(std::span<const std::int32_t> tokens) override {
        if (tokens.empty()) throw Error("nothing follows from no token", "", "");
        const auto n = static_cast<std::int64_t>(tokens.size());
        check_length(n_read_ + n);
        std::vector<llama_token> copy(tokens.begin(), tokens.end());
        for (const std::int32_t token : tokens) check_token(token, info_.name, info_.n_vocab);
        for (std::int64_t done = 0; done < n;) {
            const auto now = static_cast<std::int32_t>(std::min(kPromptTokens, n - done));
            clear_llama_errors();
            // Positions go on where they were, and the last token alone has logits.
            check(llama_decode(context_.get(), llama_batch_get_one(copy.data() + done, now)));
            done += now;
        }
        n_read_ += n;
        const float* logits = llama_get_logits_ith(context_.get(), -1);
        if (logits == nullptr) throw Error("llama.cpp gave no logits", "", "");
        return {logits, static_cast<std::size_t>(info_.n_vocab)};
    }

  private:
    bool reads_source() const { return info_.side == "target"; }
    void check_length(std::int64_t n) const {
        if (n > options_.max_length)
            throw Error(
                fmt::format("{} tokens are more than the {} that were provided for", n, options_.max_length),
                "", "");
    }
    static void check(int status) {
        if (status == 2) throw Stopped("the answer under way was dropped");
        if (status != 0)
            throw Error("llama.cpp could not run a batch",
                        fmt::format("{} (status {})", last_llama_error(), status), "");
    }

    const ModelInfo& info_;
    EngineOptions options_;
    std::unique_ptr<llama_context, decltype(&llama_free)> context_{nullptr, &llama_free};
    std::int64_t n_read_ = 0;
};

}  // namespace

std::unique_ptr<Continuation> make_llama_continuation(llama_model* raw, const ModelInfo& info,
                                                      const EngineOptions& options) {
    return std::make_unique<LlamaContinuation>(raw, info, options);
}

}  // namespace tomograph
