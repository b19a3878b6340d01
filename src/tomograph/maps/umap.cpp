#include "tomograph/maps/umap.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "tomograph/base/error.h"
#include "tomograph/base/threads.h"
#include "tomograph/maps/umap_graph.h"
#include "tomograph/maps/umap_init.h"
#include "tomograph/maps/umap_layout.h"

namespace tomograph {
namespace {

/// A map of fewer lists says less than PCA.
constexpr std::int64_t fewest_groups = 100;

LayoutOptions layout_options(const UmapOptions& options, const UmapCurve& curve, int n_epochs) {
    return {.curve = curve,
            .n_epochs = n_epochs,
            .learning_rate = options.learning_rate,
            .negative_sample_rate = options.negative_sample_rate,
            .repulsion_strength = options.repulsion_strength,
            .seed = options.seed,
            .threads = thread_count(options.threads)};
}

/// Each new row at the mean of its neighbours' places, weighted by membership.
Matrix weighted_means(const WeightedGraph& graph, const Matrix& map) {
    Matrix points = Matrix::Zero(graph.n(), map.cols());
    for (std::int64_t i = 0; i < graph.n(); ++i) {
        float total = 0;
        for (auto e = graph.offsets[i]; e < graph.offsets[i + 1]; ++e) {
            points.row(i) += graph.weights[e] * map.row(graph.targets[e]);
            total += graph.weights[e];
        }
        points.row(i) /= total;  // the nearest neighbour's weight is 1
    }
    return points;
}

/// A map is finite or it is none.
void require_finite_map(const Matrix& points) {
    if (points.allFinite()) return;
    throw Error("the map came out with NaN or Inf", "its options drive points beyond what float32 holds",
                "lower learning_rate or repulsion_strength");
}

/// A small map first: the means of the index's lists, [n_lists, dims]. It starts from the spectrum of a graph
/// in which each is linked to most others, and is laid out on one of wide neighbourhoods: what lies far apart
/// (attention and MLP, early layers and late) keeps its place in the whole, which a graph of near neighbours
/// alone knows nothing of.
Matrix map_of_lists(const NeighborIndex& index, const UmapOptions& options, LayoutOptions layout) {
    const auto n = static_cast<int>(index.n_lists());
    const int wide = std::min(n * 9 / 10, 900), narrow = std::clamp(n * 6 / 100, 14, 60);
    const Matrix centers = index.list_centers();
    const MatrixRows rows(centers);
    const NeighborIndex of_centers(rows, {.seed = options.seed, .threads = options.threads});
    auto start = spectral_init(fuzzy_union(of_centers.neighbors(wide), layout.threads), options.n_components,
                               options.seed, layout.threads);
    if (!start) start = pca_init(rows, Metric::euclidean, options.n_components, options.seed, layout.threads);
    layout.n_epochs = 200;
    return lay_out(UmapLayout(fuzzy_union(of_centers.neighbors(narrow), layout.threads), *start, layout),
                   no_progress());
}

}  // namespace

void check_umap(const UmapOptions& options, std::int64_t n_rows) {
    if (options.n_components != 2 && options.n_components != 3) {
        throw Error(fmt::format("no map of {} dimensions", options.n_components), "", "ask for 2 or 3");
    }
    if (options.n_neighbors < 2) {
        throw Error(fmt::format("no map with n_neighbors {}", options.n_neighbors),
                    "a row itself counts as one", "use 2 or more");
    }
    if (n_rows < options.n_neighbors) {
        throw Error(fmt::format("cannot map {} rows with n_neighbors {}", n_rows, options.n_neighbors),
                    "there are fewer rows than neighbours", "select more rows or lower n_neighbors");
    }
    if (options.negative_sample_rate < 0 || options.n_epochs < 0) {
        throw Error("no map with a negative rate or number of epochs", "", "");
    }
    if (!(options.learning_rate > 0) || !std::isfinite(options.learning_rate)) {
        throw Error(fmt::format("no map with learning_rate {}", options.learning_rate), "",
                    "use a number above 0");
    }
    if (!(options.repulsion_strength >= 0) || !std::isfinite(options.repulsion_strength)) {
        throw Error(fmt::format("no map with repulsion_strength {}", options.repulsion_strength), "",
                    "use a number from 0 on");
    }
    (void)fit_curve(options.min_dist, options.spread);
}

NeighborOptions neighbor_options(const UmapOptions& options) {
    return {.metric = options.metric, .seed = options.seed, .threads = options.threads};
}

Umap fit_umap(const RowSource& rows, const UmapOptions& options, Progress& progress) {
    check_umap(options, rows.n_rows());
    const NeighborIndex index(rows, neighbor_options(options), progress);
    return fit_umap(rows, index, index.neighbors(options.n_neighbors - 1, progress), options, progress);
}

Umap fit_umap(const RowSource& rows, const NeighborIndex& index, const Neighbors& neighbors,
              const UmapOptions& options, Progress& progress) {
    check_umap(options, rows.n_rows());
    if (neighbors.indices.rows() != rows.n_rows() || neighbors.indices.cols() != options.n_neighbors - 1) {
        throw Error(fmt::format("cannot map {} rows", rows.n_rows()),
                    fmt::format("the neighbours given are {} of {} rows", neighbors.indices.cols(),
                                neighbors.indices.rows()),
                    "");
    }
    Umap umap;
    umap.options = options;
    umap.curve = fit_curve(options.min_dist, options.spread);
    umap.n_epochs = options.n_epochs > 0 ? options.n_epochs : rows.n_rows() <= 10000 ? 500 : 200;
    const int threads = thread_count(options.threads);

    umap.knn_recall = neighbors.recall;
    umap.knn_method = neighbors.method;
    const WeightedGraph graph = fuzzy_union(neighbors, threads);
    const auto layout = layout_options(options, umap.curve, umap.n_epochs);
    if (options.init == UmapOptions::Init::spectral) {
        if (auto start = spectral_init(graph, options.n_components, options.seed, threads)) {
            umap.points = *std::move(start);
            umap.init = "spectral";
        }
    }
    if (umap.init.empty() && options.init != UmapOptions::Init::pca && index.n_lists() >= fewest_groups) {
        umap.points =
            init_from_groups(graph, index.list_of_rows(), map_of_lists(index, options, layout), options.seed);
        umap.init = "multilevel";
    }
    if (umap.init.empty()) {
        umap.points = pca_init(rows, options.metric, options.n_components, options.seed, threads);
        umap.init = "pca";
    }
    progress.begin("layout", umap.n_epochs, "epochs");
    umap.points = lay_out(UmapLayout(graph, umap.points, layout), progress);
    progress.end();
    require_finite_map(umap.points);
    return umap;
}

int placing_epochs(const UmapOptions& options, std::int64_t n_rows) {
    if (options.n_epochs > 0) return std::max(1, options.n_epochs / 3);
    return n_rows <= 10000 ? 100 : 30;
}

Matrix transform(const Umap& umap, const NeighborIndex& index, const RowSource& rows, Progress& progress,
                 int n_epochs) {
    if (index.n_rows() != umap.points.rows()) {
        throw Error(fmt::format("cannot place rows on a map of {} points", umap.points.rows()),
                    fmt::format("the index given holds {} rows", index.n_rows()),
                    "index the rows the map was fitted to");
    }
    const UmapOptions& options = umap.options;
    const int threads = thread_count(options.threads);
    const Neighbors neighbors = index.query(
        rows, static_cast<int>(std::min<std::int64_t>(options.n_neighbors, index.n_rows())), progress);
    const WeightedGraph graph = directed_graph(neighbors, threads);
    if (n_epochs <= 0) n_epochs = placing_epochs(options, rows.n_rows());
    // umap-learn: a quarter of the step.
    auto layout = layout_options(options, umap.curve, n_epochs);
    layout.learning_rate /= 4;
    progress.begin("layout of new rows", n_epochs, "epochs");
    Matrix points =
        lay_out(UmapLayout(graph, weighted_means(graph, umap.points), umap.points, layout), progress);
    progress.end();
    require_finite_map(points);
    return points;
}

}  // namespace tomograph
