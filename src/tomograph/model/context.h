#pragma once
#include <llama.h>

#include "tomograph/engine/engine.h"

namespace tomograph {

/// What every context of a model is made with, whatever it is for: threads, exactness, rotation.
/// Errors: Error for a max_length that the model cannot read, and when rope_off or a rope_frequency is asked
/// of a model that does not rotate or that would rotate nevertheless.
llama_context_params context_parameters(const llama_model* model, const ModelInfo& info,
                                        const EngineOptions& options);

}  // namespace tomograph
