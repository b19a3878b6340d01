#pragma once
#include <string>
#include <vector>

#include "tomograph/engine/weights.h"

namespace tomograph {

/// Every tensor of a GGUF file or built-in model. Errors: as Model::open's.
std::vector<WeightTensor> weight_tensors(const std::string& name_or_path);

}  // namespace tomograph
