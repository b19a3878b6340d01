#include "tomograph/maps/projection.h"

#include <algorithm>
#include <utility>

#include "tomograph/base/error.h"
#include "tomograph/linear/finite.h"
#include "tomograph/linear/spread.h"
#include "tomograph/select/left_out.h"
#include "tomograph/select/selected_moments.h"

namespace tomograph {
namespace {

std::vector<double> to_vector(const VectorD& v) {
    return {v.data(), v.data() + v.size()};
}

Json describe(const SelectedRows& rows, const ProjectionOptions& options) {
    Json json = {{"method", "pca"},
                 {"n_rows", rows.n_rows()},
                 {"n_candidates", rows.n_candidates()},
                 {"dim", rows.dim()}};
    json["selection"] = options.selection.json();
    json["center"] = options.center;
    if (!options.basis_of.empty()) json["basis_of"] = options.basis_of;
    return json;
}

/// The basis of an earlier projection, cut to so many axes.
Pca earlier_basis(const Run& run, const std::string& name, int dims) {
    Projection earlier = load_projection(run, name);
    if (!earlier.pca)
        throw Error("'" + name + "' holds no PCA basis", "", "name a projection made with --method pca");
    Pca pca = *std::move(earlier.pca);
    if (pca.n_components() > dims) {
        pca.components = Matrix(pca.components.topRows(dims));
        pca.explained_variance.conservativeResize(dims);
        pca.explained_variance_ratio.conservativeResize(dims);
    }
    return pca;
}

void describe_basis(const Pca& pca, bool constant, Json& info) {
    const Spread spread{pca.total_variance, pca.mean.cast<double>().squaredNorm() + pca.total_variance};
    info["relative_variance"] = spread.relative_variance();
    info["constant"] = constant && spread.constant();
    info["explained_variance"] = to_vector(pca.explained_variance);
    info["explained_variance_ratio"] = to_vector(pca.explained_variance_ratio);
    info["total_variance"] = pca.total_variance;
}

/// Axes of the moments that the run keeps; variances are shares of the vectors' own.
Pca fit_moments(const SelectedMoments& known, const ProjectionOptions& options) {
    Pca pca = fit_pca(known.moments, {.n_components = options.dims});
    pca.total_variance = known.total_variance;
    if (known.total_variance > 0)
        pca.explained_variance_ratio = pca.explained_variance / known.total_variance;
    return pca;
}

bool keeps_rows(const Run& run, const std::vector<Site>& sites) {
    return std::ranges::all_of(sites, [&](const Site& site) { return run.has_vectors(site); });
}

/// Of a run that keeps neither vectors nor means: the mean of each site.
Projection project_site_means(const Run& run, Projection projection, const SelectedMoments& known,
                              const ProjectionOptions& options) {
    const Pca& pca = *projection.pca;
    Json& info = projection.info;
    info = {{"method", "pca"},
            {"n_rows", known.sites.size()},
            {"n_candidates", known.sites.size()},
            {"dim", pca.mean.size()},
            {"center", options.center}};
    info["selection"] = options.selection.json();
    for (std::size_t i = 0; i < known.sites.size(); ++i)
        projection.labels.add({known.sites[i], known.sites[i].layer, -1, -1, -1, -1,
                               known.site_means.row(static_cast<Eigen::Index>(i)).norm()},
                              false);
    info["notes"].push_back(run.path().string() +
                            " keeps neither vectors nor means by position: a point is the mean of a site");
    projection.points = transform(pca, MatrixRows(known.site_means), {.center = options.center});
    return projection;
}

/// Fit to moments, and show what rows there are.
Projection project_from_moments(const Run& run, Projection projection, ProjectionOptions options,
                                Progress& progress) {
    if (!options.basis_of.empty())
        throw Error("axes are either an earlier projection's or fitted to moments", "both were asked for",
                    "leave one of the two out");
    const SelectedMoments known = select_moments(run, options.selection);
    const bool rows = keeps_rows(run, known.sites), show_means = !rows && !options.selection.averages();
    projection.pca = fit_moments(known, options);
    const auto has_means = [&](const Site& site) { return run.has_means(site); };
    if (!rows && !std::ranges::all_of(known.sites, has_means)) {
        projection = project_site_means(run, std::move(projection), known, options);
    } else {
        if (show_means) options.selection.mean_samples = true;
        const SelectedRows selected = select(run, options.selection);
        projection.labels = selected.labels();
        projection.info = describe(selected, options);
        if (show_means)
            projection.info["notes"].push_back(run.path().string() +
                                               " keeps no vectors: a point is a mean over sequences");
        try {
            projection.points = transform(*projection.pca, selected,
                                          {.center = options.center, .threads = options.threads}, progress);
        } catch (const NonFinite& e) {
            throw Error(selected.describe(e.row) + " holds NaN or Inf", "",
                        "leave it out by --positions, --layers or --components");
        }
        add_left_out(run, selected, projection.info);
    }
    describe_basis(*projection.pca, true, projection.info);
    if (projection.constant()) projection.points.setZero();
    projection.info["from_moments"] = known.moments.count;
    projection.info["dims"] = projection.points.cols();
    return projection;
}

}  // namespace

void add_left_out(const Run& run, const SelectedRows& rows, Json& info) {
    const LeftOut left = left_out(run, rows.sites());
    if (left.axes == 0) return;
    info["from_scores"] = {{"axes", left.axes}, {"left_out", left.share}};
    info["notes"].push_back(left.note());
}

Projection project_pca(const Run& run, const std::string& name, const ProjectionOptions& options,
                       Progress& progress) {
    check_projection_name(name);
    if (options.from_moments)
        return project_from_moments(run, Projection{name, {}, {}, {}, {}}, options, progress);
    const SelectedRows rows = select(run, options.selection);
    Projection projection{name, {}, rows.labels(), {}, describe(rows, options)};
    add_left_out(run, rows, projection.info);
    const bool fits = options.basis_of.empty();
    try {
        projection.pca =
            fits ? fit_pca(rows, {.n_components = options.dims, .threads = options.threads}, progress)
                 : earlier_basis(run, options.basis_of, options.dims);
        const Pca& pca = *projection.pca;
        describe_basis(pca, fits, projection.info);
        projection.points =
            projection.constant()
                ? Matrix::Zero(rows.n_rows(), pca.n_components())
                : transform(pca, rows, {.center = options.center, .threads = options.threads}, progress);
    } catch (const NonFinite& e) {
        throw Error(rows.describe(e.row) + " holds NaN or Inf", "",
                    "the model's weights or its precision may be at fault: capture with --dtype f32 --exact, "
                    "or leave it out by --positions, --layers or --components");
    }
    projection.info["dims"] = projection.points.cols();
    return projection;
}

}  // namespace tomograph
