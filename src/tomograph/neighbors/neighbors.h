#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tomograph/base/matrix.h"
#include "tomograph/base/progress.h"
#include "tomograph/base/rows.h"
#include "tomograph/neighbors/metric.h"

namespace tomograph {

using IndexMatrix = Eigen::Matrix<std::int32_t, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// The k nearest rows of each row, nearest first.
struct Neighbors {
    IndexMatrix
        indices;       ///< [n, k] row numbers; never the row itself (umap-learn counts it as its own first)
    Matrix distances;  ///< [n, k] in the metric, ascending
    /// Share of the true k nearest that were found, over a seeded sample of rows; 1 for exact search. A
    /// neighbour as near as the true k-th counts as found. Of query(): not measured, -1.
    double recall = -1;
    /// How they were found, for example "exact" or "lists=1000 probes=30 passes=2".
    std::string method;
};

struct NeighborOptions {
    enum class Search { automatic, exact, approximate };

    Metric metric = Metric::euclidean;
    /// automatic: exact while n^2 d is a second's work or less (10,000 rows of 576), approximate above.
    Search search = Search::automatic;
    /// Approximate: passes over neighbours of neighbours go on until the sample's recall reaches this, or
    /// three passes are done. 0 does none. Larger is slower. Default 0.95.
    double target_recall = 0.95;
    /// Rows whose true neighbours are searched exhaustively to measure recall. Cost: sample * n * d. Default
    /// 480.
    std::int64_t recall_sample = 480;
    /// Approximate: rows that each row is compared with at first, give or take what its lists hold. Larger
    /// is slower and finds more; passes then add about half as many. Default 3000.
    std::int64_t rows_compared = 3000;
    std::uint64_t seed = 0;
    /// 0: all that the process may use. The bytes of the result do not depend on it.
    int threads = 0;
};

/// Rows prepared for neighbour searches. Holds its own copy of them (4 n d bytes), and one in bytes (n d).
///
/// Method, approximate: k-means puts rows into lists of about 100 (more when there are many); each row is
/// compared with the lists around its own, then in passes with its neighbours' neighbours and with those that
/// have it for a neighbour (Dong, Moses & Li 2011, "Efficient k-nearest neighbor graph construction for
/// generic similarity measures"), until recall reaches the target. All this ranks rows by their bytes
/// (byte_vectors.h); of twice as many as are wanted, the nearest are chosen in full. Rows equal to each other
/// are searched once, and each chooses k of its equals by hash, so that thousands of them form a well-mixed
/// group rather than a star.
class NeighborIndex {
  public:
    /// Errors: Error for fewer than 2 rows; NonFinite naming the row; Stopped.
    NeighborIndex(const RowSource& rows, const NeighborOptions& options, Progress& progress = no_progress());
    ~NeighborIndex();
    NeighborIndex(NeighborIndex&&) noexcept;

    std::int64_t n_rows() const;
    /// Groups of equal rows count once.
    std::int64_t n_distinct() const;

    /// The list of each row [n_rows], numbers below n_lists(): groups of about 100 distinct rows that lie
    /// together.
    std::vector<std::int32_t> list_of_rows() const;
    std::int64_t n_lists() const;
    /// Means of the lists [n_lists, some width], in a space where euclidean distance stands for the metric.
    Matrix list_centers() const;

    /// Neighbours of every row among the others. Errors: Error when k < 1 or k > n_rows - 1; Stopped.
    Neighbors neighbors(int k, Progress& progress = no_progress()) const;

    /// Neighbours of other rows among the indexed ones, in batches. One pass, no recall.
    /// Errors: Error when the dimension differs, k < 1 or k > n_rows; NonFinite naming the row of `queries`;
    /// Stopped.
    Neighbors query(const RowSource& queries, int k, Progress& progress = no_progress()) const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

/// NeighborIndex(rows, options).neighbors(k).
Neighbors find_neighbors(const RowSource& rows, int k, const NeighborOptions& options = {},
                         Progress& progress = no_progress());

}  // namespace tomograph
