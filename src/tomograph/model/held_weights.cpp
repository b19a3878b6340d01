#include "tomograph/model/held_weights.h"

#include <algorithm>

#include "tomograph/base/error.h"
#include "tomograph/base/memory.h"

namespace tomograph {

HeldWeights parse_held_weights(const std::string& text) {
    if (text == "as-stored") return HeldWeights::as_stored;
    if (text == "f32") return HeldWeights::f32;
    if (text == "auto") return HeldWeights::automatic;
    throw Error("weights cannot be held as '" + text + "'", "", "use as-stored, f32 or auto");
}

HeldWeights held_weights(const ModelInfo& info) {
    return info.held.empty() ? HeldWeights::as_stored : HeldWeights::f32;
}

bool decoded_fits(std::uint64_t n_parameters) {
    return n_parameters * sizeof(float) <= available_memory() / 2;
}

}  // namespace tomograph
