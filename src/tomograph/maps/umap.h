#pragma once
#include <cstdint>
#include <string>

#include "tomograph/base/matrix.h"
#include "tomograph/base/progress.h"
#include "tomograph/base/rows.h"
#include "tomograph/maps/umap_curve.h"
#include "tomograph/neighbors/metric.h"
#include "tomograph/neighbors/neighbor_index.h"

namespace tomograph {

/// umap-learn's names and defaults, except where said.
struct UmapOptions {
    enum class Init { multilevel, pca, spectral };

    /// Rows that shape the map around each row, itself included. Larger keeps more of the whole and less
    /// detail, and costs more.
    int n_neighbors = 15;
    /// Dimensions of the map: 2 or 3.
    int n_components = 2;
    Metric metric = Metric::euclidean;
    /// How tightly points may be packed; at most `spread`.
    double min_dist = 0.1;
    /// Scale of the map.
    double spread = 1.0;
    /// 0: 500 up to 10,000 rows, 200 above. Of a transform: 100 up to 10,000 new rows, 30 above.
    int n_epochs = 0;
    double learning_rate = 1.0;
    int negative_sample_rate = 5;
    double repulsion_strength = 1.0;
    /// Where the layout starts (umap_init.h). umap-learn's default is spectral; ours is multilevel: a small
    /// map of the index's lists first, and every row starts amid those of its neighbours. It is pca below
    /// about 1,000 rows. spectral falls back to multilevel on a graph in pieces, as that of many activations
    /// is. docs/performance.md compares times and trustworthiness of all three.
    Init init = Init::multilevel;
    std::uint64_t seed = 42;
    /// 0: all that the process may use. The bytes of the result do not depend on it.
    int threads = 0;
};

/// A fitted map. Together with its fit rows (for a NeighborIndex) it places new rows.
struct Umap {
    Matrix points;  ///< [n, n_components]
    UmapOptions options;
    UmapCurve curve;
    int n_epochs = 0;        ///< as used
    std::string init;        ///< as used: "multilevel", "pca" or "spectral"
    double knn_recall = 0;   ///< of the neighbour search, on a sample
    std::string knn_method;  ///< Neighbors::method
};

/// Errors: Error when options make no sense or are no map of n_rows rows; those of fit_umap() that need no
/// data.
void check_umap(const UmapOptions& options, std::int64_t n_rows);

/// The neighbour search that a map of these options is built on.
NeighborOptions neighbor_options(const UmapOptions& options);

/// Fit a map: neighbours, fuzzy simplicial set (umap_graph.h), start (umap_init.h), layout (umap_layout.h).
/// McInnes, Healy & Melville (2018), "UMAP: Uniform Manifold Approximation and Projection for Dimension
/// Reduction".
///
/// Rows that are equal get neighbours among each other at random and spread to a disc. Rows without a
/// direction under cosine are alike and far from all others. All rows equal: a blob. Errors: Error when
/// n_rows < n_neighbors, n_neighbors < 2, n_components is not 2 or 3, another option is no number or
/// min_dist and spread do not fit; Error instead of a map that is not finite; NonFinite naming the row;
/// Stopped.
Umap fit_umap(const RowSource& rows, const UmapOptions& options = {}, Progress& progress = no_progress());

/// The same on an index of these rows made before, which is needed again to transform, and on
/// index.neighbors(options.n_neighbors - 1). Errors: also when the neighbours are not those of these rows.
Umap fit_umap(const RowSource& rows, const NeighborIndex& index, const Neighbors& neighbors,
              const UmapOptions& options = {}, Progress& progress = no_progress());

/// Place new rows [m, d] on a fitted map without moving it: [m, n_components]. Each starts at the weighted
/// mean of its neighbours among the fit rows and is laid out against them. `index` is of the fit rows, in
/// their order, with neighbor_options(umap.options). `n_epochs` 0: as the options say for so many rows; who
/// places rows in pieces gives all of them placing_epochs() of the whole. Errors: those of
/// NeighborIndex::query; Stopped.
Matrix transform(const Umap& umap, const NeighborIndex& index, const RowSource& rows,
                 Progress& progress = no_progress(), int n_epochs = 0);
/// umap-learn's: a third of the epochs asked for; else 100 up to 10,000 new rows, 30 above.
int placing_epochs(const UmapOptions& options, std::int64_t n_rows);

}  // namespace tomograph
