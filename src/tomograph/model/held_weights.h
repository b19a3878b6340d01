#pragma once
#include <cstdint>
#include <string>

#include "tomograph/engine/model_info.h"

namespace tomograph {

/// How a model's weights are held while it computes. Products with quantised weights round what a layer reads
/// to 8 bits as well, and those with 16-bit floats to 16 bits; the same weights decoded once are multiplied
/// in float32, which is nearer to what was stored and faster wherever many tokens are read at once. It takes
/// the memory of float32.
enum class HeldWeights {
    as_stored,
    f32,        ///< decoded into float32
    automatic,  ///< f32 where the decoded ones fit; else as_stored
};

/// "as-stored", "f32" or "auto". Errors: Error for another.
HeldWeights parse_held_weights(const std::string& text);

/// How a model that is open holds them: for another that is to differ from it in one thing only.
HeldWeights held_weights(const ModelInfo& info);

/// Whether decoded weights of so many parameters fit into half of the memory that is free now.
bool decoded_fits(std::uint64_t n_parameters);

}  // namespace tomograph
