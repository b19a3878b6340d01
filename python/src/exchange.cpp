#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "bindings.h"
#include "tomograph/exchange/import.h"
#include "work.h"

namespace tomograph::python {

using namespace nb::literals;

void bind_exchange(nb::module_& module) {
    module.def(
        "import_vectors",
        [](const std::vector<std::filesystem::path>& files, const std::filesystem::path& out,
           const std::optional<std::string>& site, const std::vector<int>& layers,
           const std::optional<std::filesystem::path>& labels, bool force, nb::handle report) {
            ImportOptions options{
                .files = files, .sites = {}, .site = {}, .layers = layers, .labels = labels, .force = force};
            if (site) {
                options.site = parse_site(*site);
                if (!options.site)
                    throw Error("no site is named '" + *site + "'", "",
                                "sites are named like blocks.6.attn_out");
            }
            const auto summary = about_files([&] {
                return result_of<ImportSummary>(
                    [&](Progress& progress) { return import_vectors(options, out, progress); }, report);
            });
            return summary.notes;
        },
        "files"_a, "out"_a, "site"_a.none(), "layers"_a, "labels"_a.none(), "force"_a,
        "report"_a = nb::none());
}

}  // namespace tomograph::python
