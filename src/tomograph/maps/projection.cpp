#include "tomograph/maps/projection.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "tomograph/base/error.h"
#include "tomograph/linear/finite.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;

/// Below this share of the mean square, variance is what rounding to float16 leaves of equal rows.
constexpr double kConstant = 1e-5;

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

/// Everything after this indexes by these numbers. Errors: Error when they do not fit the run.
void check_labels(const fs::path& file, const RowLabels& labels, std::int64_t n_rows, const Run& run) {
    const auto n = static_cast<std::size_t>(n_rows);
    const auto below = [](const std::vector<std::int32_t>& values, std::int64_t end) {
        return std::all_of(values.begin(), values.end(), [&](std::int32_t v) { return v >= -1 && v < end; });
    };
    const bool whole = labels.component.size() == n && labels.token.size() == n && labels.layer.size() == n &&
                       labels.position.size() == n && labels.sequence.size() == n &&
                       labels.label.size() == n && labels.norm.size() == n;
    if (!whole || !below(labels.token, run.n_tokens()) || !below(labels.layer, run.n_layers()) ||
        !below(labels.label, static_cast<std::int64_t>(run.labels().size())))
        throw Error(file.string() + " does not fit its run", "its rows are not ones that the run has",
                    "project again");
}

std::vector<std::int32_t> as_integers(const std::vector<Component>& components) {
    std::vector<std::int32_t> values;
    for (const Component component : components) values.push_back(static_cast<std::int32_t>(component));
    return values;
}

}  // namespace

void check_projection_name(const std::string& name) {
    const bool valid = !name.empty() && name.front() != '.' && name.size() <= 100 &&
                       std::all_of(name.begin(), name.end(), [](unsigned char c) {
                           return std::isalnum(c) || c == '-' || c == '_' || c == '.';
                       });
    if (!valid)
        throw Error("'" + name + "' cannot name a projection", "it becomes a file's name",
                    "use letters, digits, - and _");
}

Projection project_pca(const Run& run, const std::string& name, const ProjectionOptions& options,
                       Progress& progress) {
    check_projection_name(name);
    const SelectedRows rows = select(run, options.selection);
    Projection projection{name, {}, rows.labels(), {}, describe(rows, options)};
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
        const double mean_square = pca.mean.cast<double>().squaredNorm() + pca.total_variance;
        const bool constant = options.basis_of.empty() && pca.total_variance < kConstant * mean_square;
        projection.info["relative_variance"] = mean_square > 0 ? pca.total_variance / mean_square : 0.0;
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

void save_projection(const Run& run, const Projection& projection) {
    const fs::path folder = run.path() / "projections";
    fs::create_directories(folder);
    const std::vector<std::int64_t> n{projection.points.rows()};
    const auto component = as_integers(projection.labels.component);
    std::vector<TensorData> tensors{
        {{"points", Dtype::f32, {projection.points.rows(), projection.points.cols()}},
         projection.points.data()},
        {{"row", Dtype::i32, n}, projection.labels.token.data()},
        {{"component", Dtype::i32, n}, component.data()},
        {{"layer", Dtype::i32, n}, projection.labels.layer.data()},
        {{"position", Dtype::i32, n}, projection.labels.position.data()},
        {{"sequence", Dtype::i32, n}, projection.labels.sequence.data()},
        {{"label", Dtype::i32, n}, projection.labels.label.data()},
        {{"norm", Dtype::f32, n}, projection.labels.norm.data()}};
    Vector variance, ratio;
    if (projection.pca) {
        const Pca& pca = *projection.pca;
        variance = pca.explained_variance.cast<float>();
        tensors.push_back(
            {{"basis", Dtype::f32, {pca.components.rows(), pca.components.cols()}}, pca.components.data()});
        tensors.push_back({{"mean", Dtype::f32, {pca.mean.size()}}, pca.mean.data()});
    }
    std::string names;
    for (const Component c : all_components())
        names += (names.empty() ? "" : ",") + std::string(component_name(c));
    write_safetensors(folder / (projection.name + ".safetensors"), tensors, {{"components", names}});
    write_json(folder / (projection.name + ".json"), projection.info);
}

Projection load_projection(const Run& run, const std::string& name) {
    const fs::path folder = run.path() / "projections";
    if (!fs::exists(folder / (name + ".safetensors"))) {
        const auto names = projection_names(run);
        throw Error(fmt::format("no projection '{}' in {}", name, run.path().string()),
                    names.empty() ? "it has none" : fmt::format("it has {}", fmt::join(names, ", ")),
                    "make one with: tomograph project");
    }
    Projection projection{name, {}, {}, {}, read_json(folder / (name + ".json"))};
    const Safetensors file(folder / (name + ".safetensors"));
    const auto matrix = [&](const char* tensor) {
        const auto& t = file.at(tensor);
        Matrix m(t.n_rows(), t.width());
        t.read_rows(0, t.n_rows(), m.data());
        return m;
    };
    projection.points = matrix("points");
    const auto known = all_components();
    for (const std::int32_t c : file.integers("component")) {
        if (c < 0 || c >= static_cast<std::int32_t>(known.size()))
            throw Error(fmt::format("'{}' holds an unknown component", name), "", "update tomograph");
        projection.labels.component.push_back(known[static_cast<std::size_t>(c)]);
    }
    projection.labels.token = file.integers("row");
    projection.labels.layer = file.integers("layer");
    projection.labels.position = file.integers("position");
    projection.labels.sequence = file.integers("sequence");
    projection.labels.label = file.integers("label");
    const Matrix norms = matrix("norm");
    projection.labels.norm.assign(norms.data(), norms.data() + norms.size());
    check_labels(folder / (name + ".safetensors"), projection.labels, projection.points.rows(), run);
    if (file.contains("basis")) {
        Pca pca;
        pca.components = matrix("basis");
        pca.mean = matrix("mean").reshaped();
        const auto variance = projection.info.at("explained_variance").get<std::vector<double>>();
        const auto ratio = projection.info.at("explained_variance_ratio").get<std::vector<double>>();
        pca.explained_variance =
            Eigen::Map<const VectorD>(variance.data(), static_cast<Eigen::Index>(variance.size()));
        pca.explained_variance_ratio =
            Eigen::Map<const VectorD>(ratio.data(), static_cast<Eigen::Index>(ratio.size()));
        pca.total_variance = projection.info.at("total_variance").get<double>();
        pca.n_rows = projection.info.at("n_rows").get<std::int64_t>();
        projection.pca = std::move(pca);
    }
    return projection;
}

std::vector<std::string> projection_names(const Run& run) {
    std::vector<std::string> names;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(run.path() / "projections", error)) {
        if (entry.path().extension() == ".safetensors") names.push_back(entry.path().stem().string());
    }
    std::sort(names.begin(), names.end());
    return names;
}

}  // namespace tomograph
