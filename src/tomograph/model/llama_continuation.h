#pragma once
#include <llama.h>

#include <memory>

#include "tomograph/engine/language_model.h"

namespace tomograph {

/// `raw` and `info` must outlive the continuation. Errors: see LanguageModel::make_continuation.
std::unique_ptr<Continuation> make_llama_continuation(llama_model* raw, const ModelInfo& info,
                                                      const EngineOptions& options);

}  // namespace tomograph
