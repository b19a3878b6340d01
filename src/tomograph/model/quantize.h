#pragma once
#include <filesystem>
#include <string>

namespace tomograph {

/// Write `in` with other weight types, by llama.cpp's own quantisation; already quantised input is allowed.
/// `type`: f32, f16, q8_0, q5_0 or q4_0. `threads`: 0 is all that this process may run on. The output appears
/// complete or not at all. Errors: Error on a bad input or type, an output that is the input, or a full disk.
void quantize(const std::string& in, const std::filesystem::path& out, const std::string& type, int threads);

}  // namespace tomograph
