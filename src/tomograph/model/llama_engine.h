#pragma once
#include <memory>

#include "tomograph/engine/engine.h"

struct llama_model;

namespace tomograph {

/// The engine on llama.cpp. `raw` and `info` are of one model, which outlives it.
/// Errors: as LanguageModel::make_engine's.
std::unique_ptr<Engine> make_llama_engine(llama_model* raw, const ModelInfo& info,
                                          const EngineOptions& options);

}  // namespace tomograph
