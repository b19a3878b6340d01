#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tomograph/figures/layout.h"

namespace tomograph {

/// One line of a chart.
struct Series {
    std::string name = {};
    /// [n] each. A point that is not finite (or not positive on a logarithmic axis) leaves a gap.
    std::vector<double> x = {}, y = {};
    /// [n] each or empty: a faint band between them.
    std::vector<double> low = {}, high = {};
    /// None: category_color() by the series' place.
    std::optional<Color> color = std::nullopt;
    Dash dash = Dash::solid;
    /// Discs at the points.
    bool markers = false;
    /// False: points alone, nothing between them; needs `markers`.
    bool connected = true;
};

struct LinesOptions {
    std::string x_label = {};
    std::string y_label = {};
    bool log_x = false;
    bool log_y = false;
    /// No fractions on the x axis: layers, positions.
    bool whole_x = false;
    /// Names in place of numbers on the x axis, such as the stations of a network in order; empty: numbers.
    std::vector<Tick> x_ticks = {};
    double line_width = 1.2;  ///< points of 1/72 inch
    FigureOptions figure = {};
};

/// Line chart. Errors: Error when a series' arrays differ in length or there is nothing to draw;
/// Page::save()'s.
Drawn draw_lines(const std::filesystem::path& path, const std::vector<Series>& series,
                 const LinesOptions& options = {});

}  // namespace tomograph
