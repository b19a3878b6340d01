#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace tomograph {

/// A tensor of a model's weights, as its file holds it.
struct WeightTensor {
    std::string name;                 ///< "blk.3.attn_output.weight"
    std::vector<std::int64_t> shape;  ///< ggml's order: shape[0] runs fastest
    std::uint64_t bytes = 0;
};

/// Part of a model's weights: the large matrices of its blocks.
enum class WeightPart { attention, mlp };

/// Does a tensor belong to a part? Norms, biases and a mixture's gate do not. By llama.cpp's names.
bool in_part(const WeightTensor& tensor, WeightPart part);

}  // namespace tomograph
