#include <map>

#include "tomograph/base/error.h"
#include "tomograph/base/random.h"
#include "tomograph/base/version.h"
#include "tomograph/linear/finite.h"
#include "tomograph/linear/spread.h"
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
    const std::vector<std::int64_t>& chosen() const { return chosen_; }

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

/// Do what reads only `rows`: one that holds NaN or Inf is named by the selection.
template <class Work>
auto with_names(const SelectedRows& selected, const SubsetRows& rows, Work work) {
    try {
        return work();
    } catch (const NonFinite& e) {
        throw Error(
            selected.describe(rows.row(e.row)) + " holds NaN or Inf", "",
            "capture with --dtype f32 --exact, or leave it out by --positions, --layers or --components");
    }
}

/// The rows that a map is of: those that it is fitted to, and those that are placed on it.
struct Parts {
    SubsetRows fitted, placed;
    Matrix reduced_fitted, reduced_placed;  // after PCA; empty: the vectors themselves
};

/// Reduce both parts to principal components of the fitted one.
void reduce(Parts& parts, const SelectedRows& selected, const UmapProjectionOptions& options, Json& info,
            Progress& progress) {
    const int threads = options.umap.threads;
    const Pca pca = with_names(selected, parts.fitted, [&] {
        return fit_pca(parts.fitted, {.n_components = options.pre_dims, .threads = threads}, progress);
    });
    const auto scores = [&](const SubsetRows& rows) {
        return with_names(selected, rows,
                          [&] { return transform(pca, rows, {.threads = threads}, progress); });
    };
    parts.reduced_fitted = scores(parts.fitted);
    if (parts.placed.n_rows() > 0) parts.reduced_placed = scores(parts.placed);
    info["pre_dims"] = pca.n_components();
    info["pre_dims_variance"] = pca.explained_variance_ratio.sum();
}

/// The neighbours that a map of these rows is built on: those in the run's folder, else searched and put
/// there.
Neighbors kept_neighbors(const Run& run, const UmapProjectionOptions& options, const SubsetRows& fitted,
                         const NeighborIndex& index, Json& info, Progress& progress) {
    const int k = options.umap.n_neighbors - 1;
    const Json how = {{"version", kVersion},          {"selection", options.selection.json()},
                      {"run_rows", run.n_rows()},     {"n_rows", fitted.n_rows()},
                      {"pre_dims", options.pre_dims}, {"metric", metric_name(options.umap.metric)},
                      {"seed", options.umap.seed},    {"k", k}};
    if (auto known = load_neighbors(run, how);
        known && known->indices.cols() == k && known->indices.rows() == fitted.n_rows())
        return *std::move(known);
    Neighbors found = index.neighbors(k, progress);
    try {
        save_neighbors(run, how, fitted.chosen(), found);
    } catch (const Error& e) {
        info["notes"].push_back(std::string("the neighbours are not kept for the next map: ") + e.what());
    }
    return found;
}

void put(const Matrix& points, const SubsetRows& rows, Matrix& into) {
    for (std::int64_t i = 0; i < rows.n_rows(); ++i) into.row(rows.row(i)) = points.row(i);
}

/// A number for each component at each layer, [n]; empty where all rows are of one.
std::vector<std::int32_t> sites_of(const RowLabels& labels) {
    std::map<Site, std::int32_t> numbers;
    std::vector<std::int32_t> sites;
    for (std::int64_t row = 0; row < labels.size(); ++row)
        sites.push_back(
            numbers.try_emplace(labels.site(row), static_cast<std::int32_t>(numbers.size())).first->second);
    if (numbers.size() < 2) sites.clear();
    return sites;
}

/// Fit the one part, place the other: projection.points.
Umap make_map(const Run& run, const SelectedRows& selected, const Parts& parts,
              const UmapProjectionOptions& options, Projection& projection, Progress& progress) {
    const MatrixRows reduced_fitted(parts.reduced_fitted), reduced_placed(parts.reduced_placed);
    const bool reduced = parts.reduced_fitted.size() > 0;
    const RowSource& fit_rows = reduced ? static_cast<const RowSource&>(reduced_fitted) : parts.fitted;
    const RowSource& place_rows = reduced ? static_cast<const RowSource&>(reduced_placed) : parts.placed;
    const auto index = with_names(selected, parts.fitted, [&] {
        return NeighborIndex(fit_rows, neighbor_options(options.umap), progress);
    });
    Umap umap = with_names(selected, parts.fitted, [&] {
        return fit_umap(fit_rows, index,
                        kept_neighbors(run, options, parts.fitted, index, projection.info, progress),
                        options.umap, progress);
    });
    put(umap.points, parts.fitted, projection.points);
    if (parts.placed.n_rows() > 0) {
        put(with_names(selected, parts.placed, [&] { return transform(umap, index, place_rows, progress); }),
            parts.placed, projection.points);
    }
    return umap;
}

}  // namespace

Projection project_umap(const Run& run, const std::string& name, const UmapProjectionOptions& options,
                        Progress& progress) {
    check_projection_name(name);
    const SelectedRows selected = select(run, options.selection);
    const std::int64_t n = selected.n_rows();
    const auto fitted = sample_indices(n, options.fit_rows > 0 ? options.fit_rows : n, options.umap.seed);
    check_umap(options.umap, static_cast<std::int64_t>(fitted.size()));
    Parts parts{{selected, fitted}, {selected, others(n, fitted)}, {}, {}};

    Projection projection{name, Matrix::Zero(n, options.umap.n_components), selected.labels(), {}, {}};
    Json& info = projection.info;
    info = {{"method", "umap"},
            {"n_rows", n},
            {"n_candidates", selected.n_candidates()},
            {"n_fitted", fitted.size()},
            {"dim", selected.dim()}};
    info["selection"] = options.selection.json();
    info["dims"] = options.umap.n_components;
    add_left_out(run, selected, info);
    const SubsetRows all(selected, others(n, {}));
    const Spread spread =
        with_names(selected, all, [&] { return measure_spread(all, options.umap.threads); });
    info["relative_variance"] = spread.relative_variance();
    info["constant"] = spread.constant();
    if (spread.constant()) return projection;

    if (options.pre_dims > 0 && options.pre_dims < selected.dim())
        reduce(parts, selected, options, info, progress);
    const Umap umap = make_map(run, selected, parts, options, projection, progress);
    progress.begin("measuring how far to believe the map", 1, "");
    const std::vector<std::int32_t> sites = sites_of(projection.labels);
    const MapQuality quality = with_names(selected, all, [&] {
        return measure_quality(selected, projection.points,
                               {.metric = options.umap.metric,
                                .k = options.umap.n_neighbors,
                                .seed = options.umap.seed,
                                .threads = options.umap.threads,
                                .groups = sites});
    });
    if (progress.stop_requested()) throw Stopped("nothing, the map was not finished");
    const UmapOptions& used = umap.options;
    info["umap"] = {{"n_neighbors", used.n_neighbors},
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
    info["trustworthiness"] = quality.trustworthiness;
    info["knn_recall"] = quality.neighbor_recall;
    info["quality_sample"] = quality.n_sampled;
    info["quality_k"] = quality.k;
    if (!sites.empty())
        info["neighbors_of_own_site"] = {{"map", quality.own_group_on_map},
                                         {"space", quality.own_group_in_space},
                                         {"chance", quality.own_group_by_chance}};
    return projection;
}

}  // namespace tomograph
