#pragma once
#include <cstdint>
#include <vector>

#include "tomograph/base/progress.h"
#include "tomograph/reduce/lists.h"

namespace tomograph {

/// Neighbours by position (place in list order), nearest first, while they are being searched.
struct NeighborGraph {
    std::int64_t k = 0;
    std::vector<std::int32_t> positions;  // [n, k]
    std::vector<float> squared;           // [n, k] euclidean, between prepared vectors
};

/// Indexed vectors in list order.
struct IndexedVectors {
    Lists lists;
    PackedVectors sketches;
    FloatBuffer vectors;  // [n, width] prepared vectors by position
    std::int64_t width = 0;
    std::int64_t n() const { return static_cast<std::int64_t>(lists.order.size()); }
    const float* vector(std::int64_t position) const { return vectors.get() + position * width; }
};

/// Queries grouped into the same lists. Those of an index itself have `vectors` in list order and skip
/// themselves.
struct GroupedQueries {
    const Lists* lists;
    const PackedVectors* sketches;
    const float* vectors;  // [n, width] prepared; by position, or by index when `by_index`
    bool by_index;
    bool skip_self;
    /// Lists to search for the queries of panel p: probes[p * n_probes ...], nearest first. Empty: all lists.
    std::vector<std::int32_t> probes;
    std::int64_t n_probes;
};

struct SearchOptions {
    std::int64_t k = 15;
    /// Best of the sketch's candidates to compare in full, at least k.
    std::int64_t n_candidates = 32;
    int threads = 1;
};

/// Every query against the lists that its own list probes. Slots without a candidate hold -1 and infinity.
NeighborGraph search_lists(const IndexedVectors& index, const GroupedQueries& queries,
                           const SearchOptions& options, Progress& progress);

/// One pass over the nearer half of neighbours' neighbours, from the last pass's graph only, so that order
/// does not matter.
NeighborGraph refine(const IndexedVectors& index, const NeighborGraph& graph, int threads,
                     Progress& progress);

/// True neighbours of some positions by comparing with every vector: squared distances [chosen, k] ascending.
std::vector<float> true_distances(const IndexedVectors& index, const std::vector<std::int64_t>& chosen,
                                  std::int64_t k, int threads);

/// Share of `truth` (see true_distances) that `graph`, which may hold more neighbours, found.
double measure_recall(const NeighborGraph& graph, const std::vector<std::int64_t>& chosen,
                      const std::vector<float>& truth);

}  // namespace tomograph
