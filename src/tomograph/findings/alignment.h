#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "tomograph/store/run.h"

namespace tomograph {

/// Which tokens of two runs have read the same.
struct Alignment {
    /// Per token of A: the token of B that ends where it ends, in the same sequence; -1: none does.
    std::vector<std::int64_t> b_of_a;
    bool same_tokens = false;  ///< the runs' tokens are the same, one by one
    std::int64_t n_pairs = 0;
};

/// Where the runs read the same tokens, each is its own partner. Otherwise the texts are laid over each
/// other, byte by byte: two tokens are partners that end at the same byte of the same sequence, since a
/// causal model has read the same text up to there. Control tokens stand for no text and have no partner; a
/// space that a vocabulary puts before a text counts in neither. Errors: Error where the texts differ (it
/// says where), or when a run's tokens have no text.
Alignment align_tokens(const Run& a, const Run& b);

}  // namespace tomograph
