#include "tomograph/engine/weights.h"

namespace tomograph {

bool in_part(const WeightTensor& tensor, WeightPart part) {
    const auto has = [&](std::string_view text) { return tensor.name.find(text) != std::string::npos; };
    if (!tensor.name.starts_with("blk.") || !tensor.name.ends_with(".weight") || has("norm")) return false;
    if (part == WeightPart::attention) return has(".attn_");
    return has(".ffn_") && !has(".ffn_gate_inp");
}

}  // namespace tomograph
