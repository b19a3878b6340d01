#pragma once
#include <cstdint>
#include <string>

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
    /// Approximate: rows that each row is compared with at first, give or take what its lists hold; of more
    /// than 100,000 rows, more as the root of their number, for as large a share of them to be found. Larger
    /// is slower and finds more; passes then add about half as many. Default 2400.
    std::int64_t rows_compared = 2400;
    std::uint64_t seed = 0;
    /// 0: all that the process may use. The bytes of the result do not depend on it.
    int threads = 0;
};

/// NeighborIndex(rows, options).neighbors(k): neighbor_index.h says how.
Neighbors find_neighbors(const RowSource& rows, int k, const NeighborOptions& options = {},
                         Progress& progress = no_progress());

}  // namespace tomograph
