#include "tomograph/intervene/sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

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

struct SweepFlags {
    LossFlags loss;
    std::string over = "components", act = "zero", from, layers = ":", figure, predictor, out;
    bool control = false, json = false, force = false;
};

// Losses that nobody minds: a logarithmic axis has no room for those around 0.
constexpr double kFloor = 1e-3;

/// Where few places cost far more than the others, only a logarithmic axis shows both.
bool wants_log(const SweepReport& report) {
    std::vector<double> changes;
    for (const SweepUnit& unit : report.units) changes.push_back(unit.change);
    std::ranges::sort(changes);
    return changes.back() > 20 * std::max(changes[changes.size() / 2], kFloor);
}

constexpr const char* kLossLabel = "loss change (nats)";

std::string title_of(const SweepReport& report, const SweepOptions& options) {
    const bool below =
        std::ranges::any_of(report.units, [](const SweepUnit& u) { return u.change < kFloor; });
    return fmt::format("{}, one place at a time{}", act_name(options.act),
                       wants_log(report) && below ? "; below 0.001 drawn there" : "");
}

/// As an axis says it.
std::string geometry_title(Geometry geometry) {
    switch (geometry) {
        case Geometry::norm:
            return "mean norm";
        case Geometry::stream_share:
            return "mean norm over the stream's";
        case Geometry::first_token:
            return "first token's norm over the others'";
        case Geometry::top_share:
            return "squared norm's share in the top hundredth of coordinates";
        case Geometry::cosine:
            return "mean cosine of pairs of tokens";
        case Geometry::dimension:
            return "participation ratio";
    }
    return "";
}

std::string series_name(const SweepUnit& unit) {
    if (unit.head >= 0) return "head";
    return unit.over == SweepOver::layers ? "block" : std::string(component_name(unit.component));
}

/// Each place's damage by the geometric quantity that orders places best.
void draw_predictor(const SweepReport& report, const SweepOptions& options, const std::string& path) {
    const auto best = std::ranges::max_element(report.correlations, {}, [](const SweepCorrelation& c) {
        return std::isfinite(c.rho) ? std::abs(c.rho) : -1;
    });
    if (best == report.correlations.end() || !std::isfinite(best->rho))
        throw Error("there is nothing to draw for " + path, "no geometric quantity orders so few places",
                    "sweep over more layers");
    const auto which = static_cast<std::size_t>(best->geometry);
    const bool log = wants_log(report);
    bool positive = true;
    std::map<std::string, Series> series;
    for (const SweepUnit& unit : report.units) {
        Series& points = series[series_name(unit)];
        points.name = series_name(unit);
        points.markers = true;
        points.connected = false;
        points.x.push_back(unit.geometry[which]);
        points.y.push_back(log ? std::max(unit.change, kFloor) : unit.change);
        positive = positive && unit.geometry[which] > 0;
    }
    std::string title = fmt::format("{}: rank correlation {:.2f}", act_name(options.act), best->rho);
    if (best->interval) title += fmt::format(" [{:.2f}, {:.2f}]", best->interval->lo, best->interval->hi);
    std::vector<Series> all;
    for (auto& [name, points] : series) all.push_back(std::move(points));
    draw_lines(path, all,
               {.x_label = geometry_title(best->geometry),
                .y_label = kLossLabel,
                .log_x = positive,
                .log_y = log,
                .figure = {.title = title}});
}

/// Lines by layer with their intervals; heads as a map of layers and heads.
void draw(const SweepReport& report, const SweepOptions& options, const std::string& path) {
    const bool log = wants_log(report);
    const auto shown = [&](double change) { return log ? std::max(change, kFloor) : change; };
    if (std::ranges::all_of(report.units, [](const SweepUnit& unit) { return unit.head >= 0; })) {
        const int first = report.units.front().layer;
        int heads = 0;
        for (const SweepUnit& unit : report.units) heads = std::max(heads, unit.head + 1);
        MatrixD map = MatrixD::Constant(report.units.back().layer - first + 1, heads, kNoNumber);
        for (const SweepUnit& unit : report.units) map(unit.layer - first, unit.head) = unit.change;
        draw_heatmap(path, map,
                     {.x_label = "head",
                      .y_label = "layer",
                      .value_label = kLossLabel,
                      .first_y = static_cast<double>(first)});
        return;
    }
    std::map<std::string, Series> series;
    for (const SweepUnit& unit : report.units) {
        if (unit.head >= 0) continue;
        Series& line = series[series_name(unit)];
        line.name = series_name(unit);
        line.markers = true;
        line.x.push_back(unit.layer);
        line.y.push_back(shown(unit.change));
        if (!unit.interval) continue;
        line.low.push_back(shown(unit.interval->lo));
        line.high.push_back(shown(unit.interval->hi));
    }
    std::vector<Series> lines;
    for (auto& [name, line] : series) lines.push_back(std::move(line));
    draw_lines(path, lines,
               {.x_label = "layer",
                .y_label = kLossLabel,
                .log_y = log,
                .whole_x = true,
                .figure = {.title = title_of(report, options)}});
}

void run_sweep(const SweepFlags& flags, Progress& progress) {
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
    for (const std::string& figure : {flags.figure, flags.predictor}) {
        if (figure.empty()) continue;
        figure_format(figure);
        check_output_file(figure, {.force = flags.force});
    }
    if (!flags.out.empty()) check_output_file(flags.out, {.force = flags.force});
    const Model model = flags.loss.open(progress);
    const PromptSet prompts = flags.loss.read(model);
    print_notes(prompts.notes);
    const SweepReport report = sweep(model, prompts, options, progress);
    if (!flags.out.empty()) write_json(flags.out, sweep_json(report, options));
    if (!flags.figure.empty()) draw(report, options, flags.figure);
    if (!flags.predictor.empty()) draw_predictor(report, options, flags.predictor);
    if (flags.json) return print_json(sweep_json(report, options));
    print_notes(report.notes);
    say("{}", sweep_table(report));
}

}  // namespace

void add_sweep(CLI::App& app, Progress& progress) {
    auto flags = std::make_shared<SweepFlags>();
    CLI::App* command = app.add_subcommand(
        "sweep", "Do one act at every layer, component or head: the damage beside the geometry");
    flags->loss.add(*command, 8, false);
    flags->loss.add_jsonl(*command);
    command->add_option("--over", flags->over, "layers, components, heads, or several, comma-separated")
        ->capture_default_str();
    command->add_option("--act", flags->act, "zero, mean, resample or patch")->capture_default_str();
    command->add_option("--from", flags->from, "With --act patch: a text file or a run");
    command->add_option("--layers", flags->layers, "Half-open range such as 2:9 (default: all)");
    command->add_flag("--control", flags->control,
                      "Also changes as long in random directions: twice the time");
    command->add_option("--figure", flags->figure, "Draw the map: a .png, .svg or .pdf file");
    command->add_option("--predictor", flags->predictor,
                        "Draw the damage by the geometric quantity that orders it best: a figure too");
    command->add_option("--out", flags->out, "Also write the JSON to this file");
    command->add_flag("--force", flags->force, "Replace files that --figure, --predictor and --out name");
    command->add_flag("--json", flags->json, "Print JSON alone");
    command->callback([flags, &progress] { run_sweep(*flags, progress); });
}

}  // namespace tomograph
