#include "tomograph/model/context.h"

#include <fmt/format.h>

#include <cmath>

#include "tomograph/base/error.h"
#include "tomograph/base/threads.h"
#include "tomograph/model/graphics.h"

namespace tomograph {
namespace {

void check_rotation(const llama_model* model, const std::string& what) {
    if (llama_model_rope_type(model) == LLAMA_ROPE_TYPE_NONE)
        throw Error("cannot " + what, "it has no rotary positions", "");
    if (llama_model_n_swa(model) > 0)
        throw Error("cannot " + what, "its sliding-window layers rotate by a scale of their own", "");
}

/// llama.cpp multiplies positions by the frequency scale; 0 means "the model's own", so a value near it must
/// do. The scale is reset where the scaling type is none, hence linear.
void switch_rope_off(const llama_model* model, const std::string& name, llama_context_params& parameters) {
    constexpr float kNearZero = 1e-9f;
    check_rotation(model, "switch rotation off in " + name);
    parameters.rope_scaling_type = LLAMA_ROPE_SCALING_TYPE_LINEAR;
    parameters.rope_freq_scale = kNearZero;
}

/// A model's own scaling, where it has one, is linear and multiplies; the others change with the scale in
/// ways of their own.
void set_rope_frequency(const llama_model* model, const ModelInfo& info, double frequency,
                        llama_context_params& parameters) {
    const std::string what = "change the frequency of rotation in " + info.name;
    if (!(frequency > 0) || !std::isfinite(frequency))
        throw Error("cannot " + what, fmt::format("{} times as fast has no meaning", frequency),
                    "give a number above 0");
    check_rotation(model, what);
    char type[32] = "";
    llama_model_meta_val_str(model, (info.architecture + ".rope.scaling.type").c_str(), type, sizeof type);
    if (const std::string scaling = type; !scaling.empty() && scaling != "none" && scaling != "linear")
        throw Error("cannot " + what, "it scales its frequencies by " + scaling, "");
    const float trained = llama_model_rope_freq_scale_train(model);
    parameters.rope_scaling_type = LLAMA_ROPE_SCALING_TYPE_LINEAR;
    parameters.rope_freq_scale = static_cast<float>(frequency) * (trained > 0 ? trained : 1);
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
    if (options.rope_off)
        switch_rope_off(model, info.name, parameters);
    else if (options.rope_frequency != 1)
        set_rope_frequency(model, info, options.rope_frequency, parameters);
    // Left to itself, llama.cpp gives up flash attention where another device than the layer's computes it,
    // as ours does (products.h). On cards it knows best.
    if (graphics_cards().empty() || gpu_layers() == 0)
        parameters.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_ENABLED;
    if (options.exact) {
        parameters.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
        parameters.type_k = parameters.type_v = GGML_TYPE_F32;
    }
    return parameters;
}

}  // namespace tomograph
