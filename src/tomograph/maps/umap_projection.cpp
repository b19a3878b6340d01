#include <algorithm>

#include "tomograph/base/error.h"
#include "tomograph/base/random.h"
#include "tomograph/base/version.h"
#include "tomograph/linear/finite.h"
#include "tomograph/maps/neighbor_file.h"
#include "tomograph/maps/projection.h"
#include "tomograph/maps/quality.h"

namespace tomograph {
namespace {

/// Some rows of another source, in ascending order.
class SubsetRows final : public RowSource {
  public:
    SubsetRows(const RowSource& rows, std::vector<std::int64_t> chosen)
        : rows_(rows), chosen_(std::move(chosen)) {}
    std::int64_t n_rows() const override { return static_cast<std::int64_t>(chosen_.size()); }
    std::int64_t dim() const override { return rows_.dim(); }
    void read(std::int64_t begin, std::int64_t end, float* out) const override {
        // Runs of neighbours are read together: a sample of half of the rows still has many.
        for (std::int64_t i = begin; i < end;) {
            std::int64_t stop = i + 1;
            while (stop < end && row(stop) == row(i) + stop - i) ++stop;
            rows_.read(row(i), row(i) + stop - i, out + (i - begin) * dim());
            i = stop;
        }
    }
    std::int64_t row(std::int64_t i) const { return chosen_[static_cast<std::size_t>(i)]; }

  private:
    const RowSource& rows_;
    std::vector<std::int64_t> chosen_;
};

std::vector<std::int64_t> others(std::int64_t n, const std::vector<std::int64_t>& chosen) {
    std::vector<std::int64_t> rest;
    auto next = chosen.begin();
    for (std::int64_t i = 0; i < n; ++i) {
        if (next != chosen.end() && *next == i)
            ++next;
        else
            rest.push_back(i);
    }
    return rest;
}

/// Rows [0, n) of `rows` that hold NaN or Inf name themselves by the selection.
template <class Work>
void with_names(const SelectedRows& selected, const std::vector<std::int64_t>& chosen, Work work) {
    try {
        work();
    } catch (const NonFinite& e) {
        const std::int64_t row = e.row < static_cast<std::int64_t>(chosen.size())
                                     ? chosen[static_cast<std::size_t>(e.row)]
                                     : e.row;
        throw Error(
            selected.describe(row) + " holds NaN or Inf", "",
            "capture with --dtype f32 --exact, or leave it out by --positions, --layers or --components");
    }
}

/// The neighbours that a map of these rows is built on: those in the run's folder, else searched and put
/// there.
Neighbors kept_neighbors(const Run& run, const UmapProjectionOptions& options,
                         const std::vector<std::int64_t>& fitted, const NeighborIndex& index,
                         Progress& progress) {
    const int k = options.umap.n_neighbors - 1;
    const Json how = {{"version", kVersion},          {"selection", options.selection.json()},
                      {"run_rows", run.n_rows()},     {"n_rows", fitted.size()},
                      {"pre_dims", options.pre_dims}, {"metric", metric_name(options.umap.metric)},
                      {"seed", options.umap.seed},    {"k", k}};
    if (auto known = load_neighbors(run, how);
        known && known->indices.cols() == k &&
        known->indices.rows() == static_cast<Eigen::Index>(fitted.size()))
        return *std::move(known);
    Neighbors found = index.neighbors(k, progress);
    save_neighbors(run, how, fitted, found);
    return found;
}

}  // namespace

Projection project_umap(const Run& run, const std::string& name, const UmapProjectionOptions& options,
                        Progress& progress) {
    check_projection_name(name);
    const SelectedRows selected = select(run, options.selection);
    const std::int64_t n = selected.n_rows();
    const auto fitted = sample_indices(n, options.fit_rows > 0 ? options.fit_rows : n, options.umap.seed);
    const auto placed = others(n, fitted);
    check_umap(options.umap, static_cast<std::int64_t>(fitted.size()));
    const SubsetRows fit_selected(selected, fitted), place_selected(selected, placed);

    Projection projection{name, Matrix(n, options.umap.n_components), selected.labels(), {}, {}};
    projection.info = {{"method", "umap"},
                       {"n_rows", n},
                       {"n_candidates", selected.n_candidates()},
                       {"n_fitted", fitted.size()},
                       {"dim", selected.dim()}};
    projection.info["selection"] = options.selection.json();
    with_names(selected, fitted, [&] {
        Matrix reduced_fit, reduced_place;
        if (options.pre_dims > 0 && options.pre_dims < selected.dim()) {
            const Pca pca = fit_pca(
                fit_selected, {.n_components = options.pre_dims, .threads = options.umap.threads}, progress);
            reduced_fit = transform(pca, fit_selected, {.threads = options.umap.threads}, progress);
            if (!placed.empty())
                reduced_place = transform(pca, place_selected, {.threads = options.umap.threads}, progress);
            projection.info["pre_dims"] = pca.n_components();
            projection.info["pre_dims_variance"] = pca.explained_variance_ratio.sum();
        }
        const MatrixRows fit_reduced(reduced_fit), place_reduced(reduced_place);
        const bool reduced = reduced_fit.size() > 0;
        const RowSource& fit_rows = reduced ? static_cast<const RowSource&>(fit_reduced) : fit_selected;
        const RowSource& place_rows = reduced ? static_cast<const RowSource&>(place_reduced) : place_selected;

        Umap umap;
        {
            const NeighborIndex index(fit_rows, neighbor_options(options.umap), progress);
            umap = fit_umap(fit_rows, index, kept_neighbors(run, options, fitted, index, progress),
                            options.umap, progress);
            for (std::size_t i = 0; i < fitted.size(); ++i)
                projection.points.row(fitted[i]) = umap.points.row(static_cast<Eigen::Index>(i));
            if (!placed.empty()) {
                const Matrix points = transform(umap, index, place_rows, progress);
                for (std::size_t i = 0; i < placed.size(); ++i)
                    projection.points.row(placed[i]) = points.row(static_cast<Eigen::Index>(i));
            }
        }
        progress.begin("measuring how far to believe the map", 1, "");
        const MapQuality quality = measure_quality(selected, projection.points,
                                                   {.metric = options.umap.metric,
                                                    .k = options.umap.n_neighbors,
                                                    .seed = options.umap.seed,
                                                    .threads = options.umap.threads});
        if (progress.stop_requested()) throw Stopped("nothing, the map was not finished");
        const UmapOptions& used = umap.options;
        projection.info["umap"] = {{"n_neighbors", used.n_neighbors},
                                   {"min_dist", used.min_dist},
                                   {"spread", used.spread},
                                   {"metric", metric_name(used.metric)},
                                   {"n_epochs", umap.n_epochs},
                                   {"negative_sample_rate", used.negative_sample_rate},
                                   {"repulsion_strength", used.repulsion_strength},
                                   {"init", umap.init},
                                   {"seed", used.seed},
                                   {"neighbor_search", umap.knn_method},
                                   {"neighbor_search_recall", umap.knn_recall}};
        projection.info["trustworthiness"] = quality.trustworthiness;
        projection.info["knn_recall"] = quality.neighbor_recall;
        projection.info["quality_sample"] = quality.n_sampled;
        projection.info["quality_k"] = quality.k;
    });
    projection.info["constant"] = false;
    projection.info["dims"] = projection.points.cols();
    return projection;
}

}  // namespace tomograph
