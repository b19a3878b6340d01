#pragma once
#include <optional>
#include <string_view>

#include "tomograph/words/site.h"

namespace tomograph {

/// The site that a tensor's name in a file from elsewhere means: our own names, TransformerLens's hooks
/// ("blocks.6.hook_resid_post", "blocks.6.attn.hook_z"), the modules of Hugging Face transformers whose
/// output was kept ("model.layers.6", "transformer.h.6.mlp"), and "hidden_states.K", the stream after K
/// blocks, which leaves block K-1 or, for 0, enters the first. Empty for any other, such as a weight's.
std::optional<Site> foreign_site(std::string_view name);

}  // namespace tomograph
