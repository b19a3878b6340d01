#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>

#include <mutex>

#include "arrays.h"
#include "bindings.h"
#include "tomograph/linear/pca.h"
#include "tomograph/maps/quality.h"
#include "tomograph/maps/umap.h"
#include "tomograph/neighbors/neighbor_index.h"
#include "work.h"

namespace tomograph::python {
namespace {

using namespace nb::literals;

// --- PCA ---

nb::dict pca_dict(Pca pca) {
    nb::dict dict;
    dict["n_rows"] = pca.n_rows;
    dict["total_variance"] = pca.total_variance;
    dict["mean"] = array_of_matrix(std::move(pca.mean));
    dict["components"] = array_of_matrix(std::move(pca.components));
    dict["explained_variance"] = array_of_matrix(std::move(pca.explained_variance));
    dict["explained_variance_ratio"] = array_of_matrix(std::move(pca.explained_variance_ratio));
    return dict;
}

/// Moments that grow by sets of rows.
class GrowingMoments {
  public:
    void add(nb::handle given, int threads, nb::handle report) {
        const auto rows = rows_of(given);
        const Moments more = result_of<Moments>(
            [&](Progress& progress) { return compute_moments(*rows.rows, {.threads = threads}, progress); },
            report);
        merge_moments(moments_, more);
    }
    std::int64_t count() const { return moments_.count; }
    nb::dict fit(int n_components, bool center) const {
        Pca pca;
        {
            nb::gil_scoped_release released;
            pca = fit_pca(moments_, {.n_components = n_components, .center = center});
        }
        return pca_dict(std::move(pca));
    }
    nb::tuple state() const {
        return nb::make_tuple(moments_.count, array_of_matrix(moments_.mean),
                              array_of_matrix(moments_.comoment));
    }
    static GrowingMoments of_state(std::int64_t count, const Numbers& mean, const Doubles& comoment) {
        GrowingMoments growing;
        growing.moments_ = {count, vector_of(mean), matrix_of(comoment)};
        return growing;
    }

  private:
    Moments moments_;
};

nb::any transform_rows(nb::handle given, const nb::ndarray<const float, nb::ndim<1>, nb::c_contig>& mean,
                       const Floats& components, const Numbers& variance, bool center, bool whiten,
                       int threads, nb::handle report) {
    const auto rows = rows_of(given);
    Pca pca;
    pca.mean = Eigen::Map<const Vector>(mean.data(), static_cast<Eigen::Index>(mean.shape(0)));
    pca.components = matrix_of(components);
    pca.explained_variance = vector_of(variance);
    auto scores = result_of<Matrix>(
        [&](Progress& progress) {
            return transform(pca, *rows.rows, {.center = center, .whiten = whiten, .threads = threads},
                             progress);
        },
        report);
    return array_of_matrix(std::move(scores));
}

// --- UMAP ---

UmapOptions::Init parse_init(const std::string& word) {
    if (word == "multilevel") return UmapOptions::Init::multilevel;
    if (word == "pca") return UmapOptions::Init::pca;
    if (word == "spectral") return UmapOptions::Init::spectral;
    throw Error("no init is called '" + word + "'", "", "there are multilevel, pca and spectral");
}

/// A fitted map, with the index of its rows where new rows may be placed on it.
struct FittedUmap {
    Umap umap;
    std::unique_ptr<NeighborIndex> index;

    nb::any place(nb::handle given, nb::handle report) const {
        const auto rows = rows_of(given);
        auto points = result_of<Matrix>(
            [&](Progress& progress) { return transform(umap, *index, *rows.rows, progress); }, report);
        return array_of_matrix(std::move(points));
    }
};

FittedUmap fit(nb::handle given, const UmapOptions& options, nb::handle report) {
    const auto rows = rows_of(given);
    return result_of<FittedUmap>(
        [&](Progress& progress) {
            check_umap(options, rows.rows->n_rows());
            FittedUmap fitted;
            fitted.index = std::make_unique<NeighborIndex>(*rows.rows, neighbor_options(options), progress);
            const Neighbors neighbors = fitted.index->neighbors(options.n_neighbors - 1, progress);
            fitted.umap = fit_umap(*rows.rows, *fitted.index, neighbors, options, progress);
            return fitted;
        },
        report);
}

/// A map that was fitted before, from its points and the rows that they stand for.
FittedUmap restore(nb::handle given, const Floats& points, const UmapOptions& options, double a, double b,
                   int n_epochs, nb::handle report) {
    const auto rows = rows_of(given);
    Matrix kept = matrix_of(points);
    return result_of<FittedUmap>(
        [&](Progress& progress) {
            FittedUmap fitted;
            fitted.umap.points = std::move(kept);
            fitted.umap.options = options;
            fitted.umap.curve = {a, b};
            fitted.umap.n_epochs = n_epochs;
            fitted.index = std::make_unique<NeighborIndex>(*rows.rows, neighbor_options(options), progress);
            return fitted;
        },
        report);
}

// --- neighbours ---

nb::tuple neighbors_tuple(Neighbors found) {
    const double recall = found.recall;
    std::string method = std::move(found.method);
    return nb::make_tuple(array_of_matrix(std::move(found.distances)),
                          array_of_matrix(std::move(found.indices)), recall, method);
}

NeighborOptions::Search parse_search(const std::string& word) {
    if (word == "auto") return NeighborOptions::Search::automatic;
    if (word == "exact") return NeighborOptions::Search::exact;
    if (word == "approximate") return NeighborOptions::Search::approximate;
    throw Error("no search is called '" + word + "'", "", "there are auto, exact and approximate");
}

std::unique_ptr<NeighborIndex> make_index(nb::handle given, const std::string& metric,
                                          const std::string& search, double target_recall, std::uint64_t seed,
                                          int threads, nb::handle report) {
    const auto rows = rows_of(given);
    const NeighborOptions options{.metric = parse_metric(metric),
                                  .search = parse_search(search),
                                  .target_recall = target_recall,
                                  .seed = seed,
                                  .threads = threads};
    return result_of<std::unique_ptr<NeighborIndex>>(
        [&](Progress& progress) { return std::make_unique<NeighborIndex>(*rows.rows, options, progress); },
        report);
}

}  // namespace

void bind_estimators(nb::module_& module) {
    nb::class_<GrowingMoments>(module, "GrowingMoments")
        .def(nb::init<>())
        .def_static("of_state", &GrowingMoments::of_state, "count"_a, "mean"_a, "comoment"_a)
        .def_prop_ro("count", &GrowingMoments::count)
        .def("add", &GrowingMoments::add, "rows"_a, "threads"_a = 0, "report"_a = nb::none())
        .def("fit", &GrowingMoments::fit, "n_components"_a, "center"_a)
        .def("state", &GrowingMoments::state);
    module.def("pca_transform", &transform_rows, "rows"_a, "mean"_a, "components"_a, "explained_variance"_a,
               "center"_a, "whiten"_a, "threads"_a = 0, "report"_a = nb::none());

    nb::class_<UmapOptions>(module, "UmapOptions")
        .def(nb::init<>())
        .def_rw("n_neighbors", &UmapOptions::n_neighbors)
        .def_rw("n_components", &UmapOptions::n_components)
        .def_prop_rw(
            "metric", [](const UmapOptions& o) { return metric_name(o.metric); },
            [](UmapOptions& o, const std::string& name) { o.metric = parse_metric(name); })
        .def_rw("min_dist", &UmapOptions::min_dist)
        .def_rw("spread", &UmapOptions::spread)
        .def_rw("n_epochs", &UmapOptions::n_epochs)
        .def_rw("learning_rate", &UmapOptions::learning_rate)
        .def_rw("negative_sample_rate", &UmapOptions::negative_sample_rate)
        .def_rw("repulsion_strength", &UmapOptions::repulsion_strength)
        .def(
            "set_init", [](UmapOptions& o, const std::string& word) { o.init = parse_init(word); }, "init"_a)
        .def_rw("seed", &UmapOptions::seed)
        .def_rw("threads", &UmapOptions::threads);
    nb::class_<FittedUmap>(module, "FittedUmap")
        .def_prop_ro("points", [](const FittedUmap& f) { return array_of_matrix(f.umap.points); })
        .def_prop_ro("a", [](const FittedUmap& f) { return f.umap.curve.a; })
        .def_prop_ro("b", [](const FittedUmap& f) { return f.umap.curve.b; })
        .def_prop_ro("n_epochs", [](const FittedUmap& f) { return f.umap.n_epochs; })
        .def_prop_ro("init", [](const FittedUmap& f) { return f.umap.init; })
        .def_prop_ro("knn_recall", [](const FittedUmap& f) { return f.umap.knn_recall; })
        .def_prop_ro("knn_method", [](const FittedUmap& f) { return f.umap.knn_method; })
        .def("transform", &FittedUmap::place, "rows"_a, "report"_a = nb::none());
    module.def("fit_umap", &fit, "rows"_a, "options"_a, "report"_a = nb::none());
    module.def("restore_umap", &restore, "rows"_a, "points"_a, "options"_a, "a"_a, "b"_a, "n_epochs"_a,
               "report"_a = nb::none());

    nb::class_<NeighborIndex>(module, "NeighborIndex")
        .def_prop_ro("n_rows", &NeighborIndex::n_rows)
        .def(
            "neighbors",
            [](const NeighborIndex& index, int k, nb::handle report) {
                return neighbors_tuple(result_of<Neighbors>(
                    [&](Progress& progress) { return index.neighbors(k, progress); }, report));
            },
            "k"_a, "report"_a = nb::none())
        .def(
            "query",
            [](const NeighborIndex& index, nb::handle given, int k, nb::handle report) {
                const auto rows = rows_of(given);
                return neighbors_tuple(result_of<Neighbors>(
                    [&](Progress& progress) { return index.query(*rows.rows, k, progress); }, report));
            },
            "rows"_a, "k"_a, "report"_a = nb::none());
    module.def("make_index", &make_index, "rows"_a, "metric"_a, "search"_a, "target_recall"_a, "seed"_a,
               "threads"_a = 0, "report"_a = nb::none());

    module.def(
        "measure_quality",
        [](nb::handle given, const Floats& points, const std::string& metric, int k, std::int64_t sample,
           std::uint64_t seed, int threads) {
            const auto rows = rows_of(given);
            const Matrix map = matrix_of(points);
            const QualityOptions options{
                .metric = parse_metric(metric), .k = k, .sample = sample, .seed = seed, .threads = threads};
            const auto quality = result_of<MapQuality>(
                [&](Progress&) { return measure_quality(*rows.rows, map, options); }, nb::none());
            nb::dict dict;
            dict["trustworthiness"] = quality.trustworthiness;
            dict["neighbor_recall"] = quality.neighbor_recall;
            dict["n_sampled"] = quality.n_sampled;
            dict["k"] = quality.k;
            return dict;
        },
        "rows"_a, "points"_a, "metric"_a, "k"_a, "sample"_a, "seed"_a, "threads"_a = 0);
}

}  // namespace tomograph::python
