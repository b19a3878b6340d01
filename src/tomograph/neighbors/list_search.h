#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "tomograph/base/progress.h"
#include "tomograph/neighbors/byte_vectors.h"
#include "tomograph/neighbors/lists.h"

namespace tomograph {

/// Neighbours by position (place in list order), nearest first, while they are being searched. Slots without
/// one hold -1 and infinity.
struct NeighborGraph {
    std::int64_t k = 0;
    std::vector<std::int32_t> positions;  // [n, k]
    std::vector<float> squared;           // [n, k] euclidean, between prepared vectors
    std::vector<std::uint8_t> is_new;     // [n, k] not yet there when refine last looked; empty: all are
};

/// Prepared vectors, by position. What only ranks candidates uses their bytes, where there are any.
struct SearchVectors {
    const float* values = nullptr;  // [n, width]
    std::int64_t width = 0;
    const ByteVectors* bytes = nullptr;   // null: all is compared in full
    const std::int32_t* order = nullptr;  // row of `values` at each position; null: the same
    const float* vector(std::int64_t position) const {
        return values + (order ? order[position] : position) * width;
    }
};

/// Who is searched where.
struct ListSearch {
    const Lists* lists;          // of the queries
    const std::int32_t* probes;  // [n_bundles, n_probes] lists of the index to search for each bundle
    std::int64_t n_probes;
    std::int64_t k;
    bool skip_self;  // the queries are the index's own vectors
    int threads;
};

/// Every query against the lists that its bundle probes, ranked roughly (SearchVectors::bytes).
NeighborGraph search_lists(const Lists& lists, const SearchVectors& vectors, const SearchVectors& queries,
                           const ListSearch& search, Progress& progress);

/// Being near is mutual: every row also learns of those that list it. Costs no comparison.
NeighborGraph add_reverse(const NeighborGraph& graph, int threads);

/// One pass over the nearer half of neighbours' neighbours, ranked roughly, from the last pass's graph only,
/// so that order does not matter.
NeighborGraph refine(const SearchVectors& vectors, const NeighborGraph& graph, int threads,
                     Progress& progress);

/// The k nearest to `query` of n candidates, by distance in full, ties by id.
void keep_nearest_in_full(const SearchVectors& vectors, const float* query, const std::int32_t* candidates,
                          std::int64_t n, std::int64_t k, std::int32_t* positions, float* squared);

/// The same of the rough neighbours of `rows` (of queries and graph): [rows, k].
NeighborGraph compare_in_full(const SearchVectors& vectors, const SearchVectors& queries,
                              const NeighborGraph& graph, const std::vector<std::int64_t>& rows,
                              std::int64_t k, int threads);

}  // namespace tomograph
