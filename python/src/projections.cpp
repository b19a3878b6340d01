#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "arrays.h"
#include "bindings.h"
#include "tomograph/maps/projection.h"
#include "work.h"

namespace tomograph::python {
namespace {

using namespace nb::literals;

/// (name, points, labels, info, basis or None)
nb::tuple projection_tuple(const Run& run, Projection projection) {
    nb::object basis = nb::none();
    if (projection.pca) {
        nb::dict dict;
        dict["mean"] = array_of_matrix(projection.pca->mean);
        dict["components"] = array_of_matrix(projection.pca->components);
        dict["explained_variance"] = array_of_matrix(projection.pca->explained_variance);
        basis = dict;
    }
    const nb::dict labels = label_columns(run, projection.labels);
    return nb::make_tuple(projection.name, array_of_matrix(std::move(projection.points)), labels,
                          json_object(projection.info), basis);
}

nb::tuple finish(const Run& run, Projection projection, bool save) {
    if (save) about_files([&] { save_projection(run, projection); });
    return projection_tuple(run, std::move(projection));
}

}  // namespace

void bind_projections(nb::module_& module) {
    module.def(
        "project_pca",
        [](const OpenRun& open, const std::string& name, const SelectionWords& words, int dims,
           const std::string& basis_of, bool from_moments, bool center, int threads, bool save,
           nb::handle report) {
            const auto run = open.shared();
            check_projection_name(name);
            const ProjectionOptions options{.selection = words.selection(),
                                            .dims = dims,
                                            .basis_of = basis_of,
                                            .from_moments = from_moments,
                                            .center = center,
                                            .threads = threads};
            return finish(
                *run,
                result_of<Projection>(
                    [&](Progress& progress) { return project_pca(*run, name, options, progress); }, report),
                save);
        },
        "run"_a, "name"_a, "words"_a, "dims"_a, "basis_of"_a, "from_moments"_a, "center"_a, "threads"_a,
        "save"_a, "report"_a = nb::none());
    module.def(
        "project_umap",
        [](const OpenRun& open, const std::string& name, const SelectionWords& words, const UmapOptions& umap,
           int pre_dims, std::int64_t fit_rows, const std::string& fit_sample, bool save, nb::handle report) {
            const auto run = open.shared();
            check_projection_name(name);
            const UmapProjectionOptions options{.selection = words.selection(),
                                                .umap = umap,
                                                .pre_dims = pre_dims,
                                                .fit_rows = fit_rows,
                                                .fit_sample = parse_fit_sample(fit_sample)};
            return finish(
                *run,
                result_of<Projection>(
                    [&](Progress& progress) { return project_umap(*run, name, options, progress); }, report),
                save);
        },
        "run"_a, "name"_a, "words"_a, "umap"_a, "pre_dims"_a, "fit_rows"_a, "fit_sample"_a, "save"_a,
        "report"_a = nb::none());
    module.def(
        "load_projection",
        [](const OpenRun& open, const std::string& name) {
            const auto run = open.shared();
            return projection_tuple(*run, about_files([&] { return load_projection(*run, name); }));
        },
        "run"_a, "name"_a);
    module.def(
        "remove_projection",
        [](const OpenRun& open, const std::string& name) {
            about_files([&] { remove_projection(open.get(), name); });
        },
        "run"_a, "name"_a);
    module.def("projection_names", [](const OpenRun& run) { return projection_names(run.get()); }, "run"_a);
}

}  // namespace tomograph::python
