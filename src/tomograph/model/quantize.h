#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "tomograph/base/progress.h"
#include "tomograph/engine/weights.h"

namespace tomograph {

/// The types that quantize() writes, best first within each family: "f32", "f16", "bf16", "q8_0" to "q4_1",
/// the K mixtures "q6_k" to "q2_k", and of the I types those that need no importance matrix.
std::vector<std::string> quantized_types();
/// Errors: Error where quantize() would refuse the type, with what to take instead.
void check_quantized_type(const std::string& type);

/// Write `in` with other weight types, by llama.cpp's own quantisation; already quantised input is allowed.
/// `type`: one of quantized_types(), in large or small letters; "q4_k" and its like are the medium mixture.
/// `threads`: 0 is all that this process may run on. Returns a sentence for each type that llama.cpp replaced
/// where a tensor's rows do not divide into its blocks. The output appears complete or not at all. Errors:
/// Stopped; Error on a bad input or type, an output that is the input, or a full disk.
std::vector<std::string> quantize(const std::string& in, const std::filesystem::path& out,
                                  const std::string& type, int threads, Progress& progress = no_progress());

/// The model of `in` with all weights in float32, in an anonymous file that takes memory and no disk. Returns
/// its descriptor, which the caller closes. Errors: as quantize(); Error where the memory does not suffice.
int decode_into_memory(const std::string& in, int threads);

/// The same of some parts of a model only; everything else becomes float32, so that what two such files
/// differ in is those parts' rounding. `type`: q8_0, q5_0 or q4_0. No parts: all of it is float32.
void quantize_parts(const std::string& in, const std::filesystem::path& out, const std::string& type,
                    const std::vector<WeightPart>& parts, int threads);

}  // namespace tomograph
