#include "tomograph/figures/measures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "tomograph/base/error.h"
#include "tomograph/base/threads.h"
#include "tomograph/figures/coloring.h"
#include "tomograph/figures/heatmap.h"
#include "tomograph/figures/lines.h"
#include "tomograph/figures/scatter.h"

namespace tomograph {
namespace {

/// Controls and levels are inks, each with a dash of its own; the more, the fainter.
constexpr Color kInks[] = {0x222222, 0x777777, 0xAAAAAA};
constexpr Dash kDashes[] = {Dash::dashed, Dash::dotted, Dash::solid};

bool has_points(const ChartLine& line) {
    return std::ranges::any_of(line.value, [](double y) { return std::isfinite(y); });
}

std::string title_of(const Chart& chart, const Run& run) {
    return chart.title + "\n" + run_text(run) + (chart.subtitle.empty() ? "" : "\n" + chart.subtitle);
}

/// Draws one shape; false where it holds nothing to draw.
class ChartPainter {
  public:
    ChartPainter(const Chart& chart, const Run& run, const std::filesystem::path& file)
        : chart_(chart), run_(run), file_(file) {}

    bool operator()(const LayerChart& shape) const {
        std::vector<Series> lines;
        std::size_t n_inks = 0;
        const auto as_control = [&](Series series) {
            const std::size_t ink = std::min(n_inks++, std::size(kInks) - 1);
            series.color = kInks[ink];
            series.dash = kDashes[ink];
            lines.push_back(std::move(series));
        };
        for (const ChartLine& line : shape.lines) {
            if (!has_points(line)) continue;
            Series series{.name = line.name, .x = line.layer, .y = line.value};
            if (line.control) {
                as_control(std::move(series));
                continue;
            }
            series.markers = true;
            series.low = line.low;
            series.high = line.high;
            if (line.component) series.color = component_color(component_name(*line.component));
            lines.push_back(std::move(series));
        }
        if (lines.empty()) return false;
        for (const Control& level : shape.levels)
            as_control({.name = level.name,
                        .x = {shape.first_level_layer - 0.25, shape.last_level_layer + 0.25},
                        .y = {level.value, level.value}});
        LinesOptions options{
            .x_label = "layer", .y_label = shape.y_label, .log_y = shape.log_y, .whole_x = true};
        options.figure.title = title_of(chart_, run_);
        draw_lines(file_, lines, options);
        return true;
    }

    bool operator()(const CurveChart& shape) const {
        if (shape.points.rows() == 0) return false;
        Values color{.label = "position", .whole = true};
        color.of_point.assign(shape.position.begin(), shape.position.end());
        ScatterOptions options{.dims = 3, .connect = true};
        options.figure.title = title_of(chart_, run_);
        draw_scatter(file_, shape.points.cast<float>(), color, options);
        return true;
    }

    bool operator()(const PairsChart& shape) const {
        if (shape.values.rows() < 2) return false;
        HeatmapOptions options{.x_label = "layer", .y_label = "layer", .value_label = shape.value_label};
        options.first_x = options.first_y = shape.first_layer;
        options.low = 0;
        options.high = 1;
        options.figure.title = title_of(chart_, run_);
        draw_heatmap(file_, shape.values, options);
        return true;
    }

  private:
    const Chart& chart_;
    const Run& run_;
    const std::filesystem::path& file_;
};

std::string file_of(const Chart& chart) {
    return "figures/" + chart.name + ".png";
}

}  // namespace

bool draw_chart(const Chart& chart, const Run& run, const std::filesystem::path& file) {
    return std::visit(ChartPainter(chart, run, file), chart.shape);
}

MeasureFigures draw_measures(const Run& run, MeasureReport& report, const std::filesystem::path& root) {
    MeasureFigures figures;
    struct Outcome {
        bool drawn = false;
        std::optional<std::string> failed;  ///< why
    };
    std::vector<Outcome> outcomes(report.charts.size());
    parallel_for(std::ssize(outcomes), thread_count(0), [&](std::int64_t at) {
        const Chart& chart = report.charts[static_cast<std::size_t>(at)];
        Outcome& outcome = outcomes[static_cast<std::size_t>(at)];
        try {
            std::filesystem::create_directories(root / "figures");
            outcome.drawn = draw_chart(chart, run, root / file_of(chart));
        } catch (const Stopped&) {
            throw;
        } catch (const std::exception& error) {
            outcome.failed = error.what();
        }
    });
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
        const Chart& chart = report.charts[i];
        const MeasureFigure figure{file_of(chart), chart.caption, chart.findings};
        if (outcomes[i].failed)
            figures.failed.push_back(fmt::format("{} was not drawn: {}", figure.file, *outcomes[i].failed));
        if (!outcomes[i].drawn) continue;
        for (Finding& finding : report.findings) {
            if (std::ranges::find(figure.findings, finding.name) != figure.findings.end())
                finding.figure = figure.file;
        }
        figures.drawn.push_back(figure);
    }
    return figures;
}

}  // namespace tomograph
