#include "tomograph/figures/lines.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "tomograph/base/error.h"

namespace tomograph {
namespace {

/// The band's filled areas: one for each stretch without gaps.
void draw_band(Page& page, const Axes& axes, const Series& line, Color color) {
    std::vector<Point> upper, lower;
    const auto finish = [&] {
        upper.insert(upper.end(), lower.rbegin(), lower.rend());
        page.polygon(upper, color, 0.18);
        upper.clear();
        lower.clear();
    };
    for (std::size_t i = 0; i < line.x.size(); ++i) {
        const Point top = axes.place(line.x[i], line.high[i]);
        // A band that reaches to zero or below ends at a logarithmic axis's foot.
        const bool below = axes.y.log && line.low[i] <= 0.0;
        const Point foot = axes.place(line.x[i], below ? axes.y.low : line.low[i]);
        if (std::isfinite(top.x) && std::isfinite(top.y) && std::isfinite(foot.y))
            upper.push_back(top), lower.push_back(foot);
        else
            finish();
    }
    finish();
}

}  // namespace

Drawn draw_lines(const std::filesystem::path& path, const std::vector<Series>& series,
                 const LinesOptions& options) {
    figure_format(path);
    Drawn drawn;
    ScaleFinder x_finder(options.log_x), y_finder(options.log_y);
    for (const Series& line : series) {
        if (line.y.size() != line.x.size() || line.low.size() != line.high.size() ||
            (!line.low.empty() && line.low.size() != line.x.size())) {
            throw Error(fmt::format("cannot draw the line {}", line.name), "its arrays differ in length", "");
        }
        for (std::size_t i = 0; i < line.x.size(); ++i) {
            const bool visible = std::isfinite(line.x[i]) && std::isfinite(line.y[i]) &&
                                 (!options.log_x || line.x[i] > 0.0) && (!options.log_y || line.y[i] > 0.0);
            ++(visible ? drawn.n_points : drawn.n_dropped);
            if (!visible) continue;
            x_finder.add(line.x[i]);
            y_finder.add(line.y[i]);
            if (!line.low.empty()) y_finder.add(line.low[i]), y_finder.add(line.high[i]);
        }
    }
    if (drawn.n_points == 0)
        throw Error("there is nothing to draw", "no line has a point that the axes can show", "");

    Box area;
    Page page = make_page(options.figure, 2.4, area);
    draw_title(page, area, options.figure.title);
    std::vector<LegendEntry> legend;
    const auto color_of = [&](std::size_t i) {
        return series[i].color.value_or(category_color(static_cast<int>(i)));
    };
    for (std::size_t i = 0; i < series.size(); ++i) {
        const Mark mark = series[i].dash == Dash::solid    ? Mark::line
                          : series[i].dash == Dash::dashed ? Mark::dashed
                                                           : Mark::dotted;
        legend.push_back({series[i].name, color_of(i), series[i].connected ? mark : Mark::disc,
                          series[i].connected && series[i].markers});
    }
    if (series.size() > 1 || !series.front().name.empty()) draw_legend(page, area, legend);

    const Axes axes = draw_axes(page, area,
                                {.label = options.x_label,
                                 .scale = x_finder.scale(0.02),
                                 .whole = options.whole_x,
                                 .ticks = options.x_ticks},
                                {.label = options.y_label, .scale = y_finder.scale(0.05)});
    for (std::size_t i = 0; i < series.size(); ++i) {
        if (!series[i].low.empty()) draw_band(page, axes, series[i], color_of(i));
    }
    for (std::size_t i = 0; i < series.size(); ++i) {
        std::vector<Point> points;
        Discs markers;
        markers.radius = series[i].connected ? 1.5 : 2.2;
        for (std::size_t j = 0; j < series[i].x.size(); ++j) {
            points.push_back(axes.place(series[i].x[j], series[i].y[j]));
            const Point at = points.back();
            const bool visible = std::isfinite(at.x) && std::isfinite(at.y);
            // A point between two gaps would otherwise not be seen at all.
            const auto is_gap = [&](std::size_t k) {
                const Point neighbour = axes.place(series[i].x[k], series[i].y[k]);
                return !std::isfinite(neighbour.x) || !std::isfinite(neighbour.y);
            };
            const bool alone = (j == 0 || is_gap(j - 1)) && (j + 1 == series[i].x.size() || is_gap(j + 1));
            if (!visible || !(series[i].markers || alone)) continue;
            markers.x.push_back(static_cast<float>(at.x));
            markers.y.push_back(static_cast<float>(at.y));
            markers.color.push_back(color_of(i));
        }
        if (series[i].connected) page.polyline(points, {options.line_width, color_of(i), series[i].dash});
        page.discs(std::move(markers));
    }
    page.save(path, options.figure.render);
    return drawn;
}

}  // namespace tomograph
