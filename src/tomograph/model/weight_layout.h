#pragma once
#include <vector>

#include "tomograph/model/gguf_file.h"

namespace tomograph {

/// Whether llama.cpp lays most of a model's bytes out anew for this processor (Q4_0 with AVX2, say: rows
/// interleaved, so that one load feeds several). What it lays out stands in memory of its own, and a file
/// that is mapped stands there a second time. Asked as llama.cpp asks it, tensor by tensor, as weights of a
/// product.
bool laid_out_anew(const std::vector<ModelPart>& parts);

}  // namespace tomograph
