#pragma once
#include <optional>

#include "tomograph/select/selection.h"

namespace tomograph {

/// Mean cosine between what attention and what the MLP of one block write for the same token.
struct MeanCosine {
    double mean = 0;
    double deviation = 0;  ///< standard deviation over tokens and layers
    std::int64_t pairs = 0;
};

/// Over `layers` and every stored token whose position is in `positions`. Empty where the run lacks attn_out
/// or mlp_out there, or keeps no vectors. Near 0 is orthogonal; a random pair of directions in d dimensions
/// has standard deviation 1/sqrt(d).
std::optional<MeanCosine> attention_mlp_cosine(const Run& run, const Range& layers, const Range& positions);

/// The middle layers, as the published study takes them: blocks 2 to 8 of 12 and 6 to 27 of 32, here the
/// range from a sixth to five sixths of the depth.
Range middle_layers(int n_layers);

}  // namespace tomograph
