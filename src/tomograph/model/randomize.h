#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace tomograph {

/// What a twin's matrices keep of the model's.
enum class TwinKeeps {
    scale,    ///< the root mean square: Gaussian values
    spectrum  ///< the singular values: both bases are turned at random
};

struct RandomizeOptions {
    TwinKeeps keep = TwinKeeps::scale;
    std::uint64_t seed = 42;
    /// 0: all that this process may use. No byte depends on it.
    int threads = 0;
};

struct RandomizeSummary {
    std::int64_t n_tensors = 0;
    /// Tensors whose type cannot be written without calibration data: they became F16.
    std::vector<std::string> widened;
};

/// Write an untrained twin of a model: the same architecture, tokeniser, shapes and weight types, and in each
/// matrix Gaussian values of the same root mean square, or with TwinKeeps::spectrum the matrix itself between
/// two random rotations, so that only its singular values are left (as far as the weight type can say them).
/// The rotations are walks on the orthogonal group: in each round all coordinates meet in random pairs and
/// each pair turns by a random angle, 2 log2(n) + 8 rounds for n of them (Kac 1956; Pillai & Smith 2017,
/// "Kac's walk on n-sphere mixes in n log n steps"). Vectors (norm weights, biases) are Gaussian about their
/// own mean with their own deviation, so that norms stay sensible; tables of rotation factors stay as they
/// are. Memory with TwinKeeps::spectrum: the largest matrix as float32. Every value depends on the seed, the
/// tensor's name and its place only. The output appears complete or not at all. Errors: Error for a bad
/// input, an output that is the input, or a full disk.
RandomizeSummary randomize(const std::string& in, const std::filesystem::path& out,
                           const RandomizeOptions& options = {});

}  // namespace tomograph
