#include "tomograph/intervene/sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "tomograph/base/error.h"
#include "tomograph/base/output.h"
#include "tomograph/cli/commands.h"
#include "tomograph/cli/common.h"
#include "tomograph/cli/loss_flags.h"
#include "tomograph/cli/model_source.h"
#include "tomograph/cli/options.h"
#include "tomograph/figures/gnuplot.h"
#include "tomograph/figures/heatmap.h"
#include "tomograph/figures/lines.h"

namespace tomograph {
namespace {

struct Flags {
    LossFlags loss;
    std::string over = "components", act = "zero", from, layers = ":", figure, out;
    bool control = false, json = false, force = false;
};

/// Lines by layer with their intervals; heads as a map of layers and heads.
void draw(const SweepReport& report, const SweepOptions& options, const std::string& path) {
    const std::string what = fmt::format("loss change, {} (nats)", act_name(options.act));
    if (std::ranges::all_of(report.units, [](const SweepUnit& unit) { return unit.head >= 0; })) {
        const int first = report.units.front().layer;
        int heads = 0;
        for (const SweepUnit& unit : report.units) heads = std::max(heads, unit.head + 1);
        MatrixD map = MatrixD::Constant(report.units.back().layer - first + 1, heads, kNoNumber);
        for (const SweepUnit& unit : report.units) map(unit.layer - first, unit.head) = unit.change;
        draw_heatmap(path, map,
                     {.x_label = "head",
                      .y_label = "layer",
                      .value_label = what,
                      .first_y = static_cast<double>(first)});
        return;
    }
    std::map<std::string, Series> series;
    for (const SweepUnit& unit : report.units) {
        if (unit.head >= 0) continue;
        const std::string name =
            unit.over == SweepOver::layers ? "block" : std::string(component_name(unit.component));
        Series& line = series[name];
        line.name = name;
        line.markers = true;
        line.x.push_back(unit.layer);
        line.y.push_back(unit.change);
        if (!unit.interval) continue;
        line.low.push_back(unit.interval->lo);
        line.high.push_back(unit.interval->hi);
    }
    std::vector<Series> lines;
    for (auto& [name, line] : series) lines.push_back(std::move(line));
    const bool above_zero =
        std::ranges::all_of(report.units, [](const SweepUnit& unit) { return unit.change > 0; });
    draw_lines(path, lines, {.x_label = "layer", .y_label = what, .log_y = above_zero, .whole_x = true});
}

void run_sweep(const Flags& flags, Progress& progress) {
    SweepOptions options{.over = as_usage([&] { return parse_sweep_over(flags.over); }),
                         .act = as_usage([&] { return parse_sweep_act(flags.act); }),
                         .from = flags.from,
                         .layers = as_usage([&] { return parse_range(flags.layers, "layers"); }),
                         .exact = flags.loss.exact,
                         .threads = flags.loss.threads,
                         .seed = flags.loss.seed,
                         .control = flags.control};
    if ((options.act == ActKind::patch) == flags.from.empty())
        throw CLI::ValidationError(flags.from.empty() ? "--act patch needs --from"
                                                      : "--from is for --act patch");
    if (!flags.from.empty()) options.from = std::filesystem::absolute(flags.from).string();
    if (!flags.figure.empty()) {
        figure_format(flags.figure);
        check_output_file(flags.figure, {.force = flags.force});
    }
    if (!flags.out.empty()) check_output_file(flags.out, {.force = flags.force});
    const Model model = flags.loss.open(progress);
    const PromptSet prompts = flags.loss.read(model);
    print_notes(prompts.notes);
    const SweepReport report = sweep(model, prompts, options, progress);
    if (!flags.out.empty()) write_json(flags.out, sweep_json(report, options));
    if (!flags.figure.empty()) draw(report, options, flags.figure);
    if (flags.json) return print_json(sweep_json(report, options));
    print_notes(report.notes);
    say("{}", sweep_table(report));
}

}  // namespace

void add_sweep(CLI::App& app, Progress& progress) {
    auto flags = std::make_shared<Flags>();
    CLI::App* command = app.add_subcommand(
        "sweep", "Do one act at every layer, component or head: the damage beside the geometry");
    flags->loss.add(*command, 8, false);
    command->add_option("--over", flags->over, "layers, components, heads, or several, comma-separated")
        ->capture_default_str();
    command->add_option("--act", flags->act, "zero, mean, resample or patch")->capture_default_str();
    command->add_option("--from", flags->from, "With --act patch: a text file or a run");
    command->add_option("--layers", flags->layers, "Half-open range such as 2:9 (default: all)");
    command->add_flag("--control", flags->control,
                      "Also changes as long in random directions: twice the time");
    command->add_option("--figure", flags->figure, "Draw the map: a .png, .svg or .pdf file");
    command->add_option("--out", flags->out, "Also write the JSON to this file");
    command->add_flag("--force", flags->force, "Replace files that --figure and --out name");
    command->add_flag("--json", flags->json, "Print JSON alone");
    command->callback([flags, &progress] { run_sweep(*flags, progress); });
}

}  // namespace tomograph
