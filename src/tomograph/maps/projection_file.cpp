// projections/NAME.safetensors and NAME.json: docs/run-format.md says what is in them.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <sstream>

#include "tomograph/base/error.h"
#include "tomograph/base/json_reason.h"
#include "tomograph/maps/projection.h"
#include "tomograph/maps/run_files.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;

/// Columns of whole numbers that every projection has, and where they stand in RowLabels.
constexpr struct {
    const char* name;
    std::vector<std::int32_t> RowLabels::* member;
} kColumns[] = {{"row", &RowLabels::token},
                {"layer", &RowLabels::layer},
                {"position", &RowLabels::position},
                {"sequence", &RowLabels::sequence},
                {"label", &RowLabels::label}};
/// The column of components stands among them, as tensor number:
constexpr std::size_t kComponent = 2;
constexpr const char* kTrueLayer = "true_layer";

fs::path folder_of(const Run& run) {
    return run.path() / "projections";
}

[[noreturn]] void refuse(const fs::path& file, const std::string& why) {
    throw Error(file.string() + " does not fit its run", why, "project again");
}

void refuse_unplaced(const std::string& name, const Matrix& points) {
    if (!points.allFinite())
        throw Error("projection '" + name + "' is not written", "its points hold NaN or Inf", "");
}

std::string component_names() {
    std::string names;
    for (const Component c : all_components())
        names += (names.empty() ? "" : ",") + std::string(component_name(c));
    return names;
}

/// The file's own list says what its numbers mean: another version's may have other components.
std::vector<Component> read_components(const Safetensors& file, const fs::path& path) {
    const auto listed = file.metadata().find("components");
    if (listed == file.metadata().end())
        throw Error(path.string() + " cannot be read", "its metadata has no list of components",
                    "project again");
    std::vector<std::string> names;
    std::istringstream in(listed->second);
    for (std::string name; std::getline(in, name, ',');) names.push_back(name);
    std::vector<Component> components;
    for (const std::int32_t c : file.integers("component")) {
        if (c < 0 || c >= static_cast<std::int32_t>(names.size()))
            refuse(path, fmt::format("a row has component {}, and the file lists {}", c, names.size()));
        const auto known = find_component(names[static_cast<std::size_t>(c)]);
        if (!known)
            throw Error(fmt::format("{} holds an unknown component, '{}'", path.string(),
                                    names[static_cast<std::size_t>(c)]),
                        "", "update tomograph");
        components.push_back(*known);
    }
    return components;
}

/// Everything after this indexes by these numbers. Errors: Error when they do not fit the run.
void check_labels(const fs::path& file, const RowLabels& labels, std::int64_t n_rows, const Run& run) {
    const auto n = static_cast<std::size_t>(n_rows);
    const auto below = [](const std::vector<std::int32_t>& values, std::int64_t end) {
        return std::all_of(values.begin(), values.end(), [&](std::int32_t v) { return v >= -1 && v < end; });
    };
    bool whole = labels.component.size() == n && labels.norm.size() == n &&
                 (!labels.renumbered() || labels.true_layer.size() == n);
    for (const auto& column : kColumns) whole = whole && (labels.*column.member).size() == n;
    if (!whole || !below(labels.token, run.n_tokens()) || !below(labels.layer, run.n_layers()) ||
        !below(labels.true_layer, run.n_layers()) || !below(labels.position, run.length()) ||
        !below(labels.sequence, run.n_sequences()) ||
        !below(labels.label, static_cast<std::int64_t>(run.labels().size())))
        refuse(file, "its rows are not ones that the run has");
}

/// Errors: Error when its parts do not fit each other, the points and the vectors of the run.
void check_basis(const fs::path& file, const Pca& pca, const Projection& projection, const Run& run) {
    const Eigen::Index k = pca.components.rows(), d = pca.components.cols();
    if (k != projection.points.cols())
        refuse(file, fmt::format("its basis has {} axes, its points {}", k, projection.points.cols()));
    if (pca.mean.size() != d)
        refuse(file,
               fmt::format("its basis is of dimension {}, its mean of dimension {}", d, pca.mean.size()));
    if (pca.explained_variance.size() != k || pca.explained_variance_ratio.size() != k)
        refuse(file, fmt::format("it has {} axes, and says what {} and {} of them explain", k,
                                 pca.explained_variance.size(), pca.explained_variance_ratio.size()));
    const std::set<Component> used(projection.labels.component.begin(), projection.labels.component.end());
    for (const Component component : used) {
        const auto site = std::ranges::find_if(
            run.sites(), [&](const SiteShape& s) { return s.site.component == component; });
        if (site == run.sites().end())
            refuse(file, fmt::format("the run holds no {}", component_name(component)));
        if (site->width() != d)
            refuse(file, fmt::format("its basis is of dimension {}, the run's {} of dimension {}", d,
                                     component_name(component), site->width()));
    }
}

VectorD numbers(const Json& info, const char* key) {
    const auto values = info.at(key).get<std::vector<double>>();
    return Eigen::Map<const VectorD>(values.data(), static_cast<Eigen::Index>(values.size()));
}

Matrix matrix(const Safetensors& file, const char* tensor) {
    const auto& t = file.at(tensor);
    Matrix m(t.n_rows(), t.width());
    t.read_rows(0, t.n_rows(), m.data());
    return m;
}

Vector vector(const Safetensors& file, const char* tensor) {
    return matrix(file, tensor).reshaped();
}

Projection read_projection(const Run& run, const std::string& name, const fs::path& path, Json info) {
    const Safetensors file(path);
    Projection projection{name, matrix(file, "points"), {}, {}, std::move(info)};
    if (!projection.points.allFinite()) refuse(path, "its points hold NaN or Inf");
    projection.labels.component = read_components(file, path);
    for (const auto& column : kColumns) projection.labels.*column.member = file.integers(column.name);
    if (file.contains(kTrueLayer)) projection.labels.true_layer = file.integers(kTrueLayer);
    const Vector norms = vector(file, "norm");
    projection.labels.norm.assign(norms.begin(), norms.end());
    check_labels(path, projection.labels, projection.points.rows(), run);
    if (file.contains("basis")) {
        Pca pca;
        pca.components = matrix(file, "basis");
        pca.mean = vector(file, "mean");
        pca.explained_variance = numbers(projection.info, "explained_variance");
        pca.explained_variance_ratio = numbers(projection.info, "explained_variance_ratio");
        pca.total_variance = projection.info.at("total_variance").get<double>();
        pca.n_rows = whole_number<std::int64_t>(projection.info.at("n_rows"), "n_rows");
        if (!pca.components.allFinite() || !pca.mean.allFinite())
            refuse(path, "its basis or its mean holds NaN or Inf");
        if (pca.n_rows < 0 || pca.total_variance < 0)
            refuse(path,
                   fmt::format("it says that {} rows have a variance of {}", pca.n_rows, pca.total_variance));
        check_basis(path, pca, projection, run);
        projection.pca = std::move(pca);
    }
    return projection;
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

ProjectionWriter::ProjectionWriter(const Run& run, const std::string& name, std::int64_t n_rows,
                                   std::int64_t dims, bool renumbered, const Pca* pca)
    : name_(name), renumbered_(renumbered) {
    check_projection_name(name);
    const std::vector<std::int64_t> n{n_rows};
    std::vector<TensorSpec> tensors{{"points", Dtype::f32, {n_rows, dims}}};
    for (const auto& column : kColumns) tensors.push_back({column.name, Dtype::i32, n});
    tensors.insert(tensors.begin() + kComponent, {"component", Dtype::i32, n});
    tensors.push_back({"norm", Dtype::f32, n});
    if (renumbered) tensors.push_back({kTrueLayer, Dtype::i32, n});
    if (pca != nullptr) {
        tensors.push_back({"basis", Dtype::f32, {pca->components.rows(), pca->components.cols()}});
        tensors.push_back({"mean", Dtype::f32, {pca->mean.size()}});
    }
    const fs::path folder = folder_of(run);
    make_run_folder(folder);
    described_ = folder / (name + ".json");
    file_ = std::make_unique<SafetensorsWriter>(
        folder / (name + ".safetensors"), tensors,
        std::map<std::string, std::string>{{"components", component_names()}});
    if (pca != nullptr) {
        const auto put_all = [&](std::size_t tensor, const auto& values) {
            file_->write(tensor, 0, values.data(), static_cast<std::size_t>(values.size()) * sizeof(float));
        };
        put_all(tensors.size() - 2, pca->components);
        put_all(tensors.size() - 1, pca->mean);
    }
}

void ProjectionWriter::put(const Matrix& points, const RowLabels& labels) {
    refuse_unplaced(name_, points);
    std::size_t tensor = 0;
    // Elements of four bytes each, of so many a row.
    const auto write = [&](const void* data, std::int64_t width) {
        const auto n = static_cast<std::size_t>(points.rows() * width) * sizeof(float);
        file_->write(tensor++, static_cast<std::uint64_t>(n_put_ * width) * sizeof(float), data, n);
    };
    write(points.data(), points.cols());
    std::vector<std::int32_t> component;
    for (const Component c : labels.component) component.push_back(static_cast<std::int32_t>(c));
    for (const auto& column : kColumns) {
        if (tensor == kComponent) write(component.data(), 1);
        write((labels.*column.member).data(), 1);
    }
    write(labels.norm.data(), 1);
    if (renumbered_) write(labels.true_layer.data(), 1);
    n_put_ += points.rows();
}

void ProjectionWriter::finish(const Json& info) {
    file_->finish();
    write_json(described_, info);
}

void save_projection(const Run& run, const Projection& projection) {
    check_projection_name(projection.name);
    refuse_unplaced(projection.name, projection.points);  // before there is a folder
    ProjectionWriter writer(run, projection.name, projection.points.rows(), projection.points.cols(),
                            projection.labels.renumbered(), projection.pca ? &*projection.pca : nullptr);
    writer.put(projection.points, projection.labels);
    writer.finish(projection.info);
}

void check_projection(const Run& run, const std::string& name) {
    check_projection_name(name);
    if (fs::exists(folder_of(run) / (name + ".safetensors"))) return;
    const auto names = projection_names(run);
    throw Error(fmt::format("no projection '{}' in {}", name, run.path().string()),
                names.empty() ? "it has none" : fmt::format("it has {}", fmt::join(names, ", ")),
                "make one with: tomograph project");
}

void remove_projection(const Run& run, const std::string& name) {
    check_projection(run, name);
    // The one that lists it goes last, so that a failure leaves it to be removed again.
    for (const char* extension : {".json", ".safetensors"}) {
        std::error_code error;
        const fs::path path = folder_of(run) / (name + extension);
        if (!fs::remove(path, error) && error)
            throw Error("cannot delete " + path.string(), error.message(), "");
    }
}

void rename_projection(const Run& run, const std::string& name, const std::string& to) {
    check_projection(run, name);
    check_projection_name(to);
    if (fs::exists(folder_of(run) / (to + ".safetensors")))
        throw Error(fmt::format("there is a projection '{}' already", to), "",
                    fmt::format("choose another name, or: tomograph remove {} {}", run.path().string(), to));
    for (const char* extension : {".json", ".safetensors"}) {
        std::error_code error;
        const fs::path from = folder_of(run) / (name + extension);
        fs::rename(from, folder_of(run) / (to + extension), error);
        if (error) throw Error("cannot rename " + from.string(), error.message(), "");
    }
}

Projection load_projection(const Run& run, const std::string& name) {
    check_projection(run, name);
    const fs::path path = folder_of(run) / (name + ".safetensors"),
                   described = folder_of(run) / (name + ".json");
    Json info = read_json(described);
    if (!info.is_object()) throw Error(described.string() + " cannot be read", "it holds no JSON object", "");
    try {
        return read_projection(run, name, path, std::move(info));
    } catch (const Json::exception& e) {
        throw Error(described.string() + " cannot be read", json_reason(e), "project again");
    }
}

std::vector<std::string> projection_names(const Run& run) {
    std::vector<std::string> names;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder_of(run), error)) {
        if (entry.path().extension() == ".safetensors") names.push_back(entry.path().stem().string());
    }
    std::sort(names.begin(), names.end());
    return names;
}

}  // namespace tomograph
