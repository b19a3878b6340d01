#pragma once
#include <cstdint>
#include <functional>
#include <vector>

#include "tomograph/base/progress.h"
#include "tomograph/neighbors/list_search.h"

namespace tomograph {

/// Vectors to search for: the i-th, and its own position among those searched (-1: it is none of them).
struct Wanted {
    std::int64_t n;
    std::function<const float*(std::int64_t i)> vector;
    std::function<std::int64_t(std::int64_t i)> position;
};

/// True neighbours [wanted.n, k]: compared with every one of n vectors. Errors: Stopped.
NeighborGraph search_exhaustively(const SearchVectors& vectors, std::int64_t n, const Wanted& wanted,
                                  std::int64_t k, int threads, Progress& progress);

/// True neighbours of all n among each other, [n, k]: every pair is compared once and counts for both.
/// Errors: Stopped.
NeighborGraph search_all_pairs(const SearchVectors& vectors, std::int64_t n, std::int64_t k, int threads,
                               Progress& progress);

/// Share of the `truth` that `found` holds, both for the same wanted vectors with the same k. One as near as
/// the true k-th counts as found.
double measure_recall(const NeighborGraph& found, const NeighborGraph& truth);

}  // namespace tomograph
