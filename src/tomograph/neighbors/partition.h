#pragma once
#include <memory>
#include <string>
#include <vector>

#include "tomograph/neighbors/duplicates.h"
#include "tomograph/neighbors/neighbor_search.h"
#include "tomograph/neighbors/neighbors.h"
#include "tomograph/neighbors/sketch.h"

namespace tomograph {

/// Rows that a thread takes at once.
constexpr std::int64_t neighbor_block_rows = 768;

/// Sketches of all rows, and hashes that tell equal rows.
struct Sketched {
    FloatBuffer sketches;           // [n, sketch width]
    std::vector<float> half_norms;  // [n]
    std::vector<RowHash> hashes;    // [n]; empty unless asked for
};

/// What a NeighborIndex holds. Making it (neighbor_state.cpp): sketches of all rows, lists by k-means on
/// those, then each distinct row, prepared, at its position in list order.
struct NeighborIndex::State {
    NeighborOptions options;
    int threads;
    PreparedSpace space;
    bool exact;
    bool by_bytes;  // candidates are ranked by their bytes
    std::unique_ptr<Sketch> sketch;
    Duplicates duplicates;
    Centroids centroids;
    Lists lists;
    std::vector<std::int32_t> probes;  // [n_bundles, n_probes] of the rows' own lists; empty when exact
    FloatBuffer vectors;               // [n_distinct, width] prepared, by position
    ByteVectors bytes;                 // the same

    State(const RowSource& rows, const NeighborOptions& given, Progress& progress);

    /// Rows [begin, end), prepared into `prepared_out` [end - begin, width] unless that is null.
    Sketched sketch_rows(const RowSource& rows, std::int64_t begin, std::int64_t end, bool with_hashes,
                         float* prepared_out) const;
    /// The first n of them, squashed (lists.h).
    FloatBuffer squash_all(const Sketched& sketched, std::int64_t n) const;
    Squash squash() const { return {sketch->typical_norm()}; }
    /// Lists to search for each bundle of vectors that were sketched and grouped.
    std::vector<std::int32_t> find_probes(const Lists& grouped, const Sketched& sketched) const;
    std::int64_t n_probes() const;
    SearchVectors search_vectors() const {
        return {vectors.get(), space.width(), by_bytes ? &bytes : nullptr};
    }

    /// Neighbours of every position among the others; recall and method go to `result`.
    NeighborGraph search(std::int64_t k, Neighbors& result, Progress& progress) const;
    std::string method(int passes) const;

    /// Neighbours of rows [begin, end) of another source, grouped into lists: row begin + order[i] is the
    /// graph's i-th. `prepared`: room for their vectors.
    struct Batch {
        std::vector<std::int32_t> order;
        NeighborGraph graph;
    };
    Batch search_batch(const RowSource& rows, std::int64_t begin, std::int64_t end, std::int64_t k,
                       float* prepared) const;

    /// From positions among distinct rows to row numbers: equals first, then each distinct neighbour's rows.
    /// `self` is the row itself, or -1 for a query.
    void expand(const std::int32_t* positions, const float* squared, std::int64_t n_found, std::int32_t self,
                std::uint64_t key, std::int64_t k, std::vector<std::int32_t>& rows, std::int32_t* out_indices,
                float* out_distances) const;

  private:
    void make_lists(const Sketched& sketched);
    void store_vectors(const RowSource& rows);
    bool bytes_are_coarse() const;
    void fill_up(std::vector<std::int32_t>& rows, std::int32_t self, std::int64_t k,
                 std::int32_t* out_indices, float* out_distances) const;
};

}  // namespace tomograph
