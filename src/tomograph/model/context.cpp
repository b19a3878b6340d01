#include "tomograph/model/context.h"

#include <fmt/format.h>

#include "tomograph/base/error.h"
#include "tomograph/base/threads.h"

namespace tomograph {
namespace {

/// llama.cpp multiplies positions by the frequency scale; 0 means "the model's own", so a value near it must
/// do. The scale is reset where the scaling type is none, hence linear.
void switch_rope_off(const llama_model* model, const std::string& name, llama_context_params& parameters) {
    constexpr float kNearZero = 1e-9f;
    if (llama_model_rope_type(model) == LLAMA_ROPE_TYPE_NONE) {
        throw Error("cannot switch rotation off in " + name, "it has no rotary positions", "");
    }
    if (llama_model_n_swa(model) > 0) {
        throw Error("cannot switch rotation off in " + name,
                    "its sliding-window layers rotate by a scale of their own", "");
    }
    parameters.rope_scaling_type = LLAMA_ROPE_SCALING_TYPE_LINEAR;
    parameters.rope_freq_scale = kNearZero;
}

}  // namespace

llama_context_params context_parameters(const llama_model* model, const ModelInfo& info,
                                        const EngineOptions& options) {
    if (options.max_length < 1) throw Error("a sequence needs at least one token", "", "");
    if (info.learned_positions && options.max_length > info.context_length) {
        throw Error(fmt::format("length {} is above the context of {}", options.max_length, info.name),
                    fmt::format("its position table has {} rows", info.context_length),
                    fmt::format("use --length {} or less", info.context_length));
    }
    auto parameters = llama_context_default_params();
    // Where a thread cannot start, llama.cpp ends the process.
    parameters.n_threads = parameters.n_threads_batch = startable_threads(thread_count(options.threads));
    if (options.rope_off) switch_rope_off(model, info.name, parameters);
    if (options.exact) {
        parameters.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
        parameters.type_k = parameters.type_v = GGML_TYPE_F32;
    }
    return parameters;
}

}  // namespace tomograph
