#pragma once
#include <filesystem>
#include <string>

#include "tomograph/store/run.h"

namespace tomograph {

/// Of a complete run let go of all that is large: vectors, scores that stand for them, moments and sums by
/// position. What is left is what `capture --keep norms` would have written, with `capture.let_go` in its
/// run.json; measures and numbers of its tokens stay. The run is replaced when the new one is whole.
/// Errors: Error where the run is incomplete or damaged, or another process writes it.
void let_go_of_vectors(const std::filesystem::path& run);

/// How to have vectors that a run lacks: of one in a study's folder by `run --all-vectors`; else `otherwise`.
std::string way_to_vectors(const Run& run, const std::string& otherwise);

}  // namespace tomograph
