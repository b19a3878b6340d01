#pragma once
// How much of a lens a study can afford. For use inside study/ only.
#include <optional>

#include "tomograph/engine/model_info.h"
#include "tomograph/lens/lens.h"

namespace tomograph {

struct LensPlan {
    std::optional<LensOptions> text;  ///< none: even a small one would take too long
    LensOptions twin;                 ///< of an untrained twin
    int n_twins = 0;                  ///< so many of them are read
};

/// The largest lens whose products are within the study's budget (some half a minute on two cores): attention
/// and MLP outputs beside the stream, and more tokens, where the model is small. Twins take what is left, one
/// of them in any case. `n_tokens`: of the text.
LensPlan plan_lens(const ModelInfo& model, std::int64_t n_tokens, int n_twins);

}  // namespace tomograph
