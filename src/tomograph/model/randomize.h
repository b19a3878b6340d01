#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace tomograph {

struct RandomizeOptions {
    std::uint64_t seed = 42;
    /// 0: all that this process may use. No byte depends on it.
    int threads = 0;
};

struct RandomizeSummary {
    std::int64_t n_tensors = 0;
    /// Tensors whose type cannot be written without calibration data: they became F16.
    std::vector<std::string> widened;
};

/// Write the random-weight twin of a model: the same architecture, tokeniser, shapes and weight types, and in
/// each matrix Gaussian values of the same root mean square. Vectors (norm weights, biases) are Gaussian
/// about their own mean with their own deviation, so that norms stay sensible; tables of rotation factors
/// stay as they are. Every value depends on the seed, the tensor's name and its place only. The output
/// appears complete or not at all. Errors: Error for a bad input, an output that is the input, or a full
/// disk.
RandomizeSummary randomize(const std::string& in, const std::filesystem::path& out,
                           const RandomizeOptions& options = {});

}  // namespace tomograph
