#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "tomograph/neighbors/duplicates.h"
#include "tomograph/neighbors/list_search.h"
#include "tomograph/neighbors/neighbors.h"
#include "tomograph/neighbors/partition.h"
#include "tomograph/neighbors/stored_vectors.h"

namespace tomograph {

/// Rows prepared for neighbour searches. Holds its own copy of them (4 n d bytes), and one in bytes (n d).
///
/// Method, approximate: k-means puts rows into lists of about 100 (more when there are many); each row is
/// compared with the lists around its own, then in passes with its neighbours' neighbours and with those that
/// have it for a neighbour (Dong, Moses & Li 2011, "Efficient k-nearest neighbor graph construction for
/// generic similarity measures"), until recall reaches the target. All this ranks rows by their bytes
/// (byte_vectors.h); of twice as many as are wanted, the nearest are chosen in full. Rows equal to each other
/// are searched once, and each chooses k of its equals by hash, so that thousands of them form a well-mixed
/// group rather than a star.
///
/// Of four files: partition.h (who may be near whom), stored_vectors.h (the index's copy of the rows),
/// list_search.h and exhaustive_search.h (the two searches). Const calls may run at the same time.
class NeighborIndex {
  public:
    /// Reads the rows twice. Errors: Error for fewer than 2 rows, or 2^31 and more; those of
    /// PreparedSpace::read and Sketch; Stopped.
    NeighborIndex(const RowSource& rows, const NeighborOptions& options, Progress& progress = no_progress());

    std::int64_t n_rows() const { return static_cast<std::int64_t>(duplicates_.distinct_of.size()); }
    /// Groups of equal rows count once.
    std::int64_t n_distinct() const { return duplicates_.n_distinct(); }

    /// The list of each row [n_rows], numbers below n_lists(): groups of about 100 distinct rows that lie
    /// together.
    std::vector<std::int32_t> list_of_rows() const;
    std::int64_t n_lists() const { return partition_.lists().n_lists(); }
    /// Means of the lists [n_lists, some width], in a space where euclidean distance stands for the metric.
    Matrix list_centers() const;

    /// Neighbours of every row among the others. Errors: Error when k < 1 or k > n_rows - 1; Stopped.
    Neighbors neighbors(int k, Progress& progress = no_progress()) const;

    /// Neighbours of other rows among the indexed ones, in batches. One pass, no recall.
    /// Errors: Error when the dimension differs, k < 1 or k > n_rows; NonFinite naming the row of `queries`;
    /// Stopped.
    Neighbors query(const RowSource& queries, int k, Progress& progress = no_progress()) const;

  private:
    /// Neighbours among the distinct rows of some rows, in an order of their own.
    struct Found {
        NeighborGraph graph;
        double recall = -1;
        int passes = 0;
    };
    /// Of every position among the others.
    Found search_positions(std::int64_t k, Progress& progress) const;
    Found search_lists_and_refine(std::int64_t k, Progress& progress) const;
    /// Of rows of another source, prepared [n, width]: row order[i] is the graph's i-th.
    struct Batch {
        std::vector<std::int32_t> order;
        NeighborGraph graph;
    };
    Batch search_batch(const RowSource& rows, std::int64_t begin, std::int64_t end, std::int64_t k,
                       float* prepared) const;

    /// Who asks for neighbours: its prepared vector, its row number and position where it is of the index
    /// (-1: it is not), and what it chooses among equal rows by.
    struct Asker {
        const float* vector;
        std::int32_t row;
        std::int64_t position;
        std::uint64_t key;
    };
    /// From positions among distinct rows to row numbers: equals first, then each distinct neighbour's rows.
    void expand(const Asker& asker, const NeighborGraph& graph, std::int64_t of, std::int32_t* out_indices,
                float* out_distances, std::int64_t k) const;
    std::string method(int passes) const;

    NeighborOptions options_;
    int threads_;
    PreparedSpace space_;
    bool exact_;
    Partition partition_;
    Duplicates duplicates_;
    std::vector<std::int32_t> probes_;  // [n_bundles, n_probes] of the rows' own lists; empty when exact
    StoredVectors vectors_;             // distinct rows, by position in list order
};

}  // namespace tomograph
