#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cstring>

#include "arrays.h"
#include "bindings.h"
#include "tomograph/base/text.h"
#include "tomograph/linear/moments.h"
#include "tomograph/store/let_go.h"
#include "tomograph/store/stored_rows.h"
#include "work.h"

namespace tomograph::python {
namespace {

namespace fs = std::filesystem;
using namespace nb::literals;

Site site_named(const std::string& name) {
    const auto site = parse_site(name);
    if (!site)
        throw Error("no site is named '" + name + "'", "",
                    "sites are named like blocks.6.attn_out, embed or ln_final");
    return *site;
}

std::vector<std::size_t> shape_of(const SiteShape& site, std::int64_t rows) {
    std::vector<std::size_t> shape{static_cast<std::size_t>(rows)};
    for (const std::int64_t extent : site.shape) shape.push_back(static_cast<std::size_t>(extent));
    return shape;
}

/// One shard's vectors of a site where they lie: (type, array or None, first row, end row). Bfloat16, which
/// NumPy does not know, comes as uint16; what is not aligned, as nothing.
nb::tuple stored(const OpenRun& open, const std::string& name, std::size_t shard) {
    const Run& run = open.get();
    const SiteShape& site = run.site(site_named(name));
    auto rows = about_files([&] { return stored_rows(run, site.site, shard); });
    const auto size = dtype_size(rows.dtype);
    nb::object array = nb::none();
    if (rows.data != nullptr && reinterpret_cast<std::uintptr_t>(rows.data) % size == 0) {
        auto* kept = new std::shared_ptr<const void>(rows.file);
        nb::capsule owner(kept,
                          [](void* p) noexcept { delete static_cast<std::shared_ptr<const void>*>(p); });
        const auto shape = shape_of(site, rows.end - rows.begin);
        const auto code =
            rows.dtype == Dtype::bf16 ? nb::dlpack::dtype_code::UInt : nb::dlpack::dtype_code::Float;
        const nb::dlpack::dtype type{static_cast<std::uint8_t>(code), static_cast<std::uint8_t>(8 * size), 1};
        array = nb::cast(
            nb::ndarray<nb::numpy, nb::ro>(rows.data, shape.size(), shape.data(), owner, nullptr, type));
    }
    return nb::make_tuple(std::string(dtype_name(rows.dtype)), array, rows.begin, rows.end);
}

nb::any read(const OpenRun& open, const std::string& name, std::int64_t begin, std::int64_t end) {
    const auto run = open.shared();
    const SiteShape& site = run->site(site_named(name));
    if (!run->has_vectors(site.site))
        throw Error("no vectors of " + name + " are kept", "the run holds its norms and means only",
                    way_to_vectors(*run, "capture it again with its vectors"));
    if (begin < 0 || end < begin || end > run->n_rows())
        throw Error("no rows " + std::to_string(begin) + " to " + std::to_string(end),
                    "the run has " + std::to_string(run->n_rows()), "");
    std::vector<float> values(static_cast<std::size_t>((end - begin) * site.width()));
    {
        nb::gil_scoped_release released;
        about_files([&] { run->read_rows(site.site, begin, end, values.data()); });
    }
    return array_of(std::move(values), shape_of(site, end - begin));
}

nb::list sites(const OpenRun& run) {
    nb::list list;
    for (const SiteShape& site : run.get().sites())
        list.append(nb::make_tuple(site.site.name(), nb::tuple(nb::cast(site.shape)),
                                   run.get().has_vectors(site.site)));
    return list;
}

nb::dict token_columns(const OpenRun& open) {
    const Run& run = open.get();
    nb::dict columns;
    for (const TokenColumn& column : kTokenColumns)
        columns[column.name] = array_of(run.tokens().*column.values);
    for (std::size_t i = 0; i < run.columns().size(); ++i)
        columns[run.columns()[i].name.c_str()] = array_of(run.tokens().further[i]);
    return columns;
}

nb::list pieces(const OpenRun& open) {
    nb::list list;
    for (const std::string& piece : about_files([&]() -> decltype(auto) { return open.get().pieces(); }))
        list.append(nb::bytes(piece.data(), piece.size()));
    return list;
}

nb::dict words_of_columns(const OpenRun& run) {
    nb::dict words;
    for (const LabelColumn& column : run.get().columns()) words[column.name.c_str()] = nb::cast(column.words);
    return words;
}

nb::any read_selected(const Selected& selected, std::int64_t begin, std::int64_t end) {
    const SelectedRows& rows = selected.rows();
    std::vector<float> values(static_cast<std::size_t>((end - begin) * rows.dim()));
    {
        nb::gil_scoped_release released;
        about_files([&] { rows.read(begin, end, values.data()); });
    }
    return array_of(std::move(values),
                    {static_cast<std::size_t>(end - begin), static_cast<std::size_t>(rows.dim())});
}

nb::tuple moments_of(nb::handle given, nb::handle report) {
    const auto rows = rows_of(given);
    auto moments = result_of<Moments>(
        [&](Progress& progress) { return compute_moments(*rows.rows, {}, progress); }, report);
    const std::int64_t count = moments.count;
    return nb::make_tuple(count, array_of_matrix(std::move(moments.mean)),
                          array_of_matrix(std::move(moments.comoment)));
}

}  // namespace

const std::shared_ptr<const Run>& OpenRun::shared() const {
    if (!run_)
        throw Error("this run is closed", "close() was called, or its with block has ended",
                    "open it again with tomograph.open()");
    return run_;
}

nb::dict label_columns(const Run& run, const RowLabels& labels) {
    nb::dict columns;
    std::vector<std::int32_t> component;
    for (const Component one : labels.component) component.push_back(static_cast<std::int32_t>(one));
    columns["component"] = array_of(std::move(component));
    columns["layer"] = array_of(labels.layer);
    if (labels.renumbered()) columns["true_layer"] = array_of(labels.true_layer);
    columns["position"] = array_of(labels.position);
    columns["token"] = array_of(labels.token);
    std::vector<std::int32_t> ids;
    for (const std::int32_t token : labels.token)
        ids.push_back(token < 0 ? -1 : run.tokens().token_id[static_cast<std::size_t>(token)]);
    columns["token_id"] = array_of(std::move(ids));
    columns["sequence"] = array_of(labels.sequence);
    columns["label"] = array_of(labels.label);
    columns["norm"] = array_of(labels.norm);
    return columns;
}

void bind_runs(nb::module_& module) {
    nb::class_<OpenRun>(module, "Run")
        .def("close", &OpenRun::close)
        .def_prop_ro("closed", &OpenRun::closed)
        .def_prop_ro("path", [](const OpenRun& run) { return run.get().path(); })
        .def_prop_ro("json", [](const OpenRun& run) { return json_object(run.get().json()); })
        .def_prop_ro("complete", [](const OpenRun& run) { return run.get().complete(); })
        .def_prop_ro("model_name",
                     [](const OpenRun& run) { return without_controls(run.get().model_name(), false); })
        .def_prop_ro("prompts", [](const OpenRun& run) { return run.get().prompts(); })
        .def_prop_ro("d_model", [](const OpenRun& run) { return run.get().d_model(); })
        .def_prop_ro("n_layers", [](const OpenRun& run) { return run.get().n_layers(); })
        .def_prop_ro("n_tokens", [](const OpenRun& run) { return run.get().n_tokens(); })
        .def_prop_ro("n_sequences", [](const OpenRun& run) { return run.get().n_sequences(); })
        .def_prop_ro("n_rows", [](const OpenRun& run) { return run.get().n_rows(); })
        .def_prop_ro("n_shards", [](const OpenRun& run) { return shard_count(run.get()); })
        .def_prop_ro("length", [](const OpenRun& run) { return run.get().length(); })
        .def_prop_ro("labels", [](const OpenRun& run) { return run.get().labels(); })
        .def_prop_ro("scores", [](const OpenRun& run) { return run.get().scores(); })
        .def("sites", &sites)
        .def("token_columns", &token_columns)
        .def("column_words", &words_of_columns)
        .def("pieces", &pieces)
        .def("rows", [](const OpenRun& run) { return array_of(run.get().rows()); })
        .def(
            "score",
            [](const OpenRun& run, const std::string& name) { return array_of(run.get().score(name)); },
            "name"_a)
        .def(
            "norms",
            [](const OpenRun& run, const std::string& site) {
                return array_of(run.get().norms(site_named(site)));
            },
            "site"_a)
        .def(
            "means",
            [](const OpenRun& run, const std::string& site) {
                auto means = about_files([&] { return run.get().means(site_named(site)); });
                return array_of_matrix(std::move(means));
            },
            "site"_a)
        .def("stored", &stored, "site"_a, "shard"_a)
        .def("read", &read, "site"_a, "begin"_a, "end"_a);
    module.def(
        "open_run",
        [](const fs::path& path) {
            nb::gil_scoped_release released;
            return about_files([&] { return OpenRun(std::make_shared<const Run>(Run::open(path))); });
        },
        "path"_a);
    module.def(
        "folder_kind",
        [](const fs::path& path) {
            const FolderKind kind = folder_kind(path);
            return kind == FolderKind::run ? "run" : kind == FolderKind::study ? "study" : "";
        },
        "path"_a);
    module.def("component_names", [] {
        std::vector<std::string> names;
        for (const Component component : all_components()) names.emplace_back(component_name(component));
        return names;
    });

    nb::class_<SelectionWords>(module, "SelectionWords")
        .def(nb::init<>())
        .def_rw("components", &SelectionWords::components)
        .def_rw("layers", &SelectionWords::layers)
        .def_rw("positions", &SelectionWords::positions)
        .def_rw("sequences", &SelectionWords::sequences)
        .def_rw("labels", &SelectionWords::labels)
        .def_rw("where", &SelectionWords::where)
        .def_rw("normalize", &SelectionWords::normalize)
        .def_rw("mean", &SelectionWords::mean)
        .def_rw("layer_order", &SelectionWords::layer_order)
        .def_rw("rows", &SelectionWords::rows)
        .def_rw("seed", &SelectionWords::seed);
    nb::class_<Selected>(module, "Selected")
        .def_prop_ro("n_rows", [](const Selected& s) { return s.rows().n_rows(); })
        .def_prop_ro("dim", [](const Selected& s) { return s.rows().dim(); })
        .def_prop_ro("n_candidates", [](const Selected& s) { return s.rows().n_candidates(); })
        .def("labels", [](const Selected& s) { return label_columns(s.run(), s.rows().labels()); })
        .def(
            "describe", [](const Selected& s, std::int64_t row) { return s.rows().describe(row); }, "row"_a)
        .def("read", &read_selected, "begin"_a, "end"_a);
    module.def(
        "select",
        [](const OpenRun& open, const SelectionWords& words) {
            const Selection selection = words.selection();
            auto run = open.shared();
            nb::gil_scoped_release released;
            SelectedRows rows = select(*run, selection);
            return Selected(std::move(run), std::move(rows));
        },
        "run"_a, "words"_a);
    module.def("moments", &moments_of, "rows"_a, "report"_a = nb::none());
}

}  // namespace tomograph::python
