#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "tomograph/engine/weights.h"

namespace tomograph {

/// Write `in` with other weight types, by llama.cpp's own quantisation; already quantised input is allowed.
/// `type`: f32, f16, q8_0, q5_0 or q4_0. `threads`: 0 is all that this process may run on. The output appears
/// complete or not at all. Errors: Error on a bad input or type, an output that is the input, or a full disk.
void quantize(const std::string& in, const std::filesystem::path& out, const std::string& type, int threads);

/// The same of some parts of a model only; everything else becomes float32, so that what two such files
/// differ in is those parts' rounding. `type`: q8_0, q5_0 or q4_0. No parts: all of it is float32.
void quantize_parts(const std::string& in, const std::filesystem::path& out, const std::string& type,
                    const std::vector<WeightPart>& parts, int threads);

}  // namespace tomograph
