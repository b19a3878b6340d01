#include "tomograph/maps/projection.h"

#include "tomograph/base/error.h"
#include "tomograph/linear/finite.h"
#include "tomograph/linear/spread.h"
#include "tomograph/select/left_out.h"

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

}  // namespace

void add_left_out(const Run& run, const SelectedRows& rows, Json& info) {
    const LeftOut left = left_out(run, rows.labels());
    if (left.axes == 0) return;
    info["from_scores"] = {{"axes", left.axes}, {"left_out", left.share}};
    info["notes"].push_back(left.note());
}

Projection project_pca(const Run& run, const std::string& name, const ProjectionOptions& options,
                       Progress& progress) {
    check_projection_name(name);
    const SelectedRows rows = select(run, options.selection);
    Projection projection{name, {}, rows.labels(), {}, describe(rows, options)};
    add_left_out(run, rows, projection.info);
    try {
        if (options.basis_of.empty()) {
            projection.pca =
                fit_pca(rows, {.n_components = options.dims, .threads = options.threads}, progress);
        } else {
            const Projection earlier = load_projection(run, options.basis_of);
            if (!earlier.pca)
                throw Error("'" + options.basis_of + "' holds no PCA basis", "",
                            "name a projection made with --method pca");
            projection.pca = earlier.pca;
            if (projection.pca->n_components() > options.dims) {
                projection.pca->components = Matrix(projection.pca->components.topRows(options.dims));
                projection.pca->explained_variance.conservativeResize(options.dims);
                projection.pca->explained_variance_ratio.conservativeResize(options.dims);
            }
        }
        const Pca& pca = *projection.pca;
        const Spread spread{pca.total_variance, pca.mean.cast<double>().squaredNorm() + pca.total_variance};
        const bool constant = options.basis_of.empty() && spread.constant();
        projection.info["relative_variance"] = spread.relative_variance();
        projection.info["constant"] = constant;
        projection.info["explained_variance"] = to_vector(pca.explained_variance);
        projection.info["explained_variance_ratio"] = to_vector(pca.explained_variance_ratio);
        projection.info["total_variance"] = pca.total_variance;
        projection.points =
            constant ? Matrix::Zero(rows.n_rows(), pca.n_components())
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
