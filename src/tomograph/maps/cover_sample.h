#pragma once
#include <cstdint>
#include <vector>

#include "tomograph/base/progress.h"
#include "tomograph/base/rows.h"
#include "tomograph/neighbors/metric.h"

namespace tomograph {

struct CoverOptions {
    /// Of the distances that decide what is far from what.
    Metric metric = Metric::euclidean;
    std::uint64_t seed = 0;
    /// 0: all that the process may use. The rows chosen do not depend on it.
    int threads = 0;
};

/// `count` rows that stand for all of them, ascending; all where count >= n_rows. A uniform sample of one in
/// a hundred leaves two rows of a cluster of 200, which is then no cluster on a map fitted to it. Here half
/// of the rows are uniform, and the other half are spread evenly over cells that cover the space: each cell
/// gives as many as the others, or all that it has.
///
/// Method, in two passes over the rows and memory of a few blocks and of `count` row numbers. A row is told
/// by its 96 leading principal components and by the length of what these leave out, so that rows off the
/// components count as far. Cells: k-means on 16,384 rows; then, of all rows, 4,096 drawn with weights
/// (d^2 / typical d^2 of the cell)^4 (Efraimidis & Spirakis 2006, "Weighted random sampling with a
/// reservoir"), and of these, farthest first (Gonzalez 1985, "Clustering to minimize the maximum intercluster
/// distance"), those that lie beyond twice a cell's typical squared distance. The second pass keeps in each
/// cell the rows of the lowest hash, and lowers the level at which cells are cut as they fill up.
///
/// Errors: those of PreparedSpace::read and Sketch; Stopped.
std::vector<std::int64_t> covering_sample(const RowSource& rows, std::int64_t count,
                                          const CoverOptions& options, Progress& progress = no_progress());

}  // namespace tomograph
