#include "tomograph/cli/options.h"

#include <fmt/format.h>

#include <algorithm>

#include "tomograph/base/json.h"
#include "tomograph/cli/print.h"

namespace tomograph {

void SelectionFlags::add(CLI::App& app) {
    app.add_option("--components", components,
                   "Components, comma-separated (default: all that are d_model wide)");
    app.add_option("--layers", layers, "Half-open range such as 2:9, 4: or 3 (default: all)");
    app.add_option("--positions", positions, "Half-open range; 1: leaves the first token out");
    app.add_option("--sequences", sequences, "Half-open range");
    app.add_option("--labels", labels, "Only tokens with one of these labels")->delimiter(',');
    app.add_option("--where", where,
                   "Only tokens with COLUMN=VALUE[,VALUE], such as role=user or turn=0:2; may be given again")
        ->allow_extra_args(false);
    app.add_option("--normalize", normalize, "none, unit or layernorm")->capture_default_str();
    app.add_option(
        "--mean", mean,
        "Average over samples, positions, layers or components (comma-separated), after normalising");
    app.add_option("--rows", rows,
                   "At most so many rows: whole tokens, with all their layers and components, chosen by seed "
                   "(default: all)")
        ->check(CLI::NonNegativeNumber);
    app.add_option("--seed", seed, "Seed of every random choice")->capture_default_str();
    app.add_option("--layer-order", layer_order,
                   "given, reversed, swapped (neighbours change places) or random: a control")
        ->capture_default_str();
}

Selection SelectionFlags::selection() const {
    return as_usage([&] { return SelectionWords::selection(); });
}

std::pair<Json, std::filesystem::path> read_spec(const std::string& spec) {
    if (spec.starts_with("{")) return {parse_json(spec), std::filesystem::current_path()};
    return {read_json(spec), std::filesystem::absolute(spec).parent_path()};
}

std::vector<SiteShape> model_sites(const LanguageModel& model) {
    return model.make_engine({.max_length = std::min<std::int64_t>(16, model.info().context_length)})
        ->sites();
}

std::int64_t default_length(const ModelInfo& model) {
    return std::min<std::int64_t>(512, model.context_length);
}

void print_notes(const std::vector<std::string>& notes) {
    if (is_quiet()) return;
    for (const std::string& note : notes) warn("note: {}\n", note);
}

void warn_about_length(const ModelInfo& model, std::int64_t length) {
    if (model.learned_positions || length <= model.context_length) return;
    warn("warning: length {} is above the context of {} tokens that {} was trained on\n", length,
         model.context_length, model.name);
}

}  // namespace tomograph
