#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "arrays.h"
#include "bindings.h"
#include "tomograph/base/output.h"
#include "tomograph/intervene/direction.h"
#include "tomograph/model/quantize.h"
#include "tomograph/model/randomize.h"
#include "work.h"

namespace tomograph::python {
namespace {

namespace fs = std::filesystem;
using namespace nb::literals;

/// Work of llama.cpp's that belongs to no open model.
void write_model(const fs::path& out, bool replace, std::function<void(Progress&)> write, nb::handle report) {
    about_files([&] {
        check_output_file(out, {.force = replace, .file = true});
        do_model_work(std::move(write), report, [] {});
    });
}

std::vector<std::string> quantize_model(const std::string& in, const fs::path& out, const std::string& type,
                                        int threads, bool replace, nb::handle report) {
    check_quantized_type(type);
    const auto notes = std::make_shared<std::vector<std::string>>();
    write_model(
        out, replace, [=](Progress& progress) { *notes = quantize(in, out, type, threads, progress); },
        report);
    return *notes;
}

std::vector<std::string> randomize_model(const std::string& in, const fs::path& out, const std::string& keep,
                                         std::uint64_t seed, int threads, bool replace, nb::handle report) {
    if (keep != "scale" && keep != "spectrum")
        throw Error("no matrix keeps its '" + keep + "'", "", "there are scale and spectrum");
    const RandomizeOptions options{.keep = keep == "spectrum" ? TwinKeeps::spectrum : TwinKeeps::scale,
                                   .seed = seed,
                                   .threads = threads};
    const auto widened = std::make_shared<std::vector<std::string>>();
    write_model(out, replace, [=](Progress&) { *widened = randomize(in, out, options).widened; }, report);
    return *widened;
}

/// (what `direction --json` prints, layers, directions [layers, d])
nb::tuple direction(const OpenRun& open, const std::string& from, const std::string& to,
                    const std::string& component, const std::string& layers, const std::string& method,
                    std::int64_t rows, int permutations, std::uint64_t seed, int threads,
                    const std::optional<fs::path>& out, bool replace, nb::handle report) {
    const auto run = open.shared();
    const auto found = find_component(component);
    if (!found || !in_block(*found))
        throw Error("'" + component + "' is no component of blocks", "",
                    "there are resid_post, mlp_out, ...");
    const DirectionOptions options{.from = from,
                                   .to = to,
                                   .component = *found,
                                   .layers = parse_range(layers, "layers"),
                                   .method = parse_direction_method(method),
                                   .rows = rows,
                                   .permutations = permutations,
                                   .seed = seed,
                                   .threads = threads};
    if (out) about_files([&] { check_output_file(*out, {.force = replace, .file = true}); });
    DirectionReport directions = result_of<DirectionReport>(
        [&](Progress& progress) { return find_directions(*run, options, progress); }, report);
    if (out) about_files([&] { write_control_vector(*out, control_vector(directions, directions.notes)); });
    std::vector<std::int32_t> numbers;
    Matrix vectors(static_cast<Eigen::Index>(directions.layers.size()),
                   static_cast<Eigen::Index>(run->d_model()));
    for (const LayerDirection& one : directions.layers) {
        vectors.row(static_cast<Eigen::Index>(numbers.size())) = one.direction.transpose();
        numbers.push_back(one.layer);
    }
    return nb::make_tuple(json_object(direction_json(directions)), array_of(std::move(numbers)),
                          array_of_matrix(std::move(vectors)));
}

}  // namespace

void bind_tools(nb::module_& module) {
    module.def("quantize", &quantize_model, "path"_a, "out"_a, "type"_a, "threads"_a, "replace"_a,
               "report"_a = nb::none());
    module.def("randomize", &randomize_model, "path"_a, "out"_a, "keep"_a, "seed"_a, "threads"_a, "replace"_a,
               "report"_a = nb::none());
    module.def("direction", &direction, "run"_a, "from_label"_a, "to_label"_a, "component"_a, "layers"_a,
               "method"_a, "rows"_a, "permutations"_a, "seed"_a, "threads"_a, "out"_a.none(), "replace"_a,
               "report"_a = nb::none());
}

}  // namespace tomograph::python
