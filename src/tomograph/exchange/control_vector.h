#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "tomograph/base/matrix.h"
#include "tomograph/exchange/array.h"

namespace tomograph {

/// Directions that llama.cpp adds to the residual stream, as its control-vector GGUF holds them: tensor
/// "direction.N" is added to what leaves block N, blocks.N.resid_post. Block 0 cannot have one.
struct ControlVector {
    std::string model_hint;        ///< the architecture that it is meant for, such as "llama"
    std::map<int, Vector> layers;  ///< by block, from 1; all of one width
};

/// The file appears complete or not at all. Errors: Error for a layer below 1, widths that differ, nothing to
/// write, or a full disk.
void write_control_vector(const std::filesystem::path& path, const ControlVector& vector);

/// The same file's directions, mapped, [1, d] each. Errors: Error that says what is wrong with the file:
/// none of GGUF, cut, a tensor that is no direction, not F32, not one-dimensional, or of another width.
std::map<int, ForeignArray> map_control_vector(const std::filesystem::path& path);
ControlVector read_control_vector(const std::filesystem::path& path);

}  // namespace tomograph
