#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "arrays.h"
#include "bindings.h"
#include "tomograph/findings/compare.h"
#include "tomograph/findings/measure.h"
#include "work.h"

namespace tomograph::python {
namespace {

using namespace nb::literals;

/// Findings, outliers and first tokens as `measure --json` prints them; beside them the tables, the notes and
/// how it was measured.
nb::dict measure(const OpenRun& open, const std::vector<const OpenRun*>& twins, const OpenRun* rope_off,
                 const std::vector<const OpenRun*>& rope_doses, const OpenRun* context,
                 const OpenRun* positions, const OpenRun* repeat, const OpenRun* planted,
                 const OpenRun* reference, double fdr, const std::vector<std::string>& only,
                 std::int64_t rows, int bootstrap, std::uint64_t seed, int threads, bool save,
                 nb::handle report) {
    // Held, so that another thread may close what it opened while this one measures.
    std::vector<std::shared_ptr<const Run>> held{open.shared()};
    const auto hold = [&](const OpenRun* one) -> const Run* {
        if (one == nullptr) return nullptr;
        held.push_back(one->shared());
        return held.back().get();
    };
    MeasureOptions options{
        .fdr = fdr, .only = only, .rows = rows, .bootstrap = bootstrap, .seed = seed, .threads = threads};
    for (const OpenRun* twin : twins) options.twins.push_back(hold(twin));
    for (const OpenRun* dose : rope_doses) options.rope_doses.push_back(hold(dose));
    options.rope_off = hold(rope_off);
    options.context = hold(context);
    options.positions = hold(positions);
    options.repeat = hold(repeat);
    options.planted = hold(planted);
    options.reference = hold(reference);
    const Run& run = *held.front();
    const auto measured = result_of<MeasureReport>(
        [&](Progress& progress) { return measure_run(run, options, progress); }, report);
    if (save) about_files([&] { save_measures(run, measured); });
    nb::dict dict = nb::cast<nb::dict>(json_object(findings_json(measured)));
    nb::dict tables;
    for (const auto& [name, table] : measured.tables) tables[name.c_str()] = json_object(table);
    dict["tables"] = tables;
    dict["notes"] = nb::cast(measured.notes);
    dict["how"] = json_object(measured.how);
    return dict;
}

}  // namespace

void bind_findings(nb::module_& module) {
    module.def("measure", &measure, "run"_a, "twins"_a, "rope_off"_a.none(), "rope_doses"_a,
               "context"_a.none(), "positions"_a.none(), "repeat"_a.none(), "planted"_a.none(),
               "reference"_a.none(), "fdr"_a, "only"_a, "rows"_a, "bootstrap"_a, "seed"_a, "threads"_a,
               "save"_a, "report"_a = nb::none());
    module.def(
        "load_findings",
        [](const OpenRun& run) { return json_object(about_files([&] { return load_findings(run.get()); })); },
        "run"_a);
    module.def("finding_names", &finding_names);
    module.def(
        "compare",
        [](const OpenRun& a, const OpenRun& b, std::int64_t rows, std::uint64_t seed, int bootstrap,
           int threads, nb::handle report) {
            const auto first = a.shared(), second = b.shared();
            const CompareOptions options{
                .rows = rows, .seed = seed, .bootstrap = bootstrap, .threads = threads};
            return json_object(result_of<Json>(
                [&](Progress& progress) {
                    return compare_json(compare_runs(*first, *second, options, progress));
                },
                report));
        },
        "a"_a, "b"_a, "rows"_a, "seed"_a, "bootstrap"_a, "threads"_a, "report"_a = nb::none());
}

}  // namespace tomograph::python
