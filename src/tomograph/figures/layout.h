#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "tomograph/figures/axis.h"
#include "tomograph/figures/page.h"

namespace tomograph {

/// What every figure can be told.
struct FigureOptions {
    /// Wrapped to the figure's width; '\n' starts a new line. The first line is bold, the others are small.
    /// Empty: none.
    std::string title = {};
    /// Inches. Default 3.4, a paper column: font sizes are true in print at this width.
    double width = 3.4;
    /// Inches. 0 (default): what suits the kind of figure.
    double height = 0.0;
    /// Resolution and when clouds of points become images.
    RenderOptions render = {};
    /// Order of drawing, where it is shuffled so that no category covers another.
    std::uint64_t seed = 0;
};

/// What was drawn: points that hold a value that is not finite (or not positive on a logarithmic axis) are
/// left out and counted. A figure for which nothing is left is an Error.
struct Drawn {
    std::int64_t n_points = 0;
    std::int64_t n_dropped = 0;
};

/// The sizes of all figures, in points of 1/72 inch.
namespace sizes {
inline constexpr double title = 8.0;
inline constexpr double subtitle = 6.5;
inline constexpr double label = 7.5;   ///< names of axes
inline constexpr double number = 6.5;  ///< numbers at ticks
inline constexpr double legend = 7.0;
inline constexpr double margin = 5.0;  ///< around the page
inline constexpr double tick = 2.2;
}  // namespace sizes

/// A part of a page.
struct Box {
    double left = 0.0, bottom = 0.0, right = 0.0, top = 0.0;
    double width() const { return right - left; }
    double height() const { return top - bottom; }
};

/// A page of the options' size (`default_height` in inches) and the box inside its margins.
/// Errors: Error when a size is not between 1 and 100 inches or would give more than 30,000 pixels a side.
Page make_page(const FigureOptions& options, double default_height, Box& area);

/// Writes the title at the top left and takes its lines off the area.
void draw_title(Page& page, Box& area, const std::string& title);

enum class Mark { disc, line, dashed, dotted, patch };
struct LegendEntry {
    std::string name = {};
    Color color = 0;
    Mark mark = Mark::disc;
    bool marker = false;  ///< a disc on the line
};

/// Draws a legend outside the data and takes its room off the area: up to three rows above, else a column at
/// the right, which ends with "and 12 more" when the page is too low. Names too long are shortened.
void draw_legend(Page& page, Box& area, const std::vector<LegendEntry>& entries);

/// A bar that says which value has which colour.
struct ColorBar {
    Scale scale;
    ColorMap map = ColorMap::sequential;
    std::string label = {};
    bool whole = false;

    Color color(double value) const { return map_color(map, scale.place(value)); }
    /// Room that it takes at the right, in points.
    double width() const;
    /// With its left edge at x.
    void draw(Page& page, double x, double bottom, double top) const;
};

struct AxisOptions {
    std::string label = {};
    Scale scale;
    bool whole = false;
    /// Replace the round numbers, when not empty.
    std::vector<Tick> ticks = {};
};

/// Two axes on a page.
struct Axes {
    Scale x, y;
    Box box;
    Point place(double px, double py) const {
        return {box.left + x.place(px) * box.width(), box.bottom + y.place(py) * box.height()};
    }
};

/// Draws the axes, their numbers and a faint grid in the area. `equal`: a unit has one length on both axes;
/// the shorter axis is widened for it.
Axes draw_axes(Page& page, const Box& area, AxisOptions x, AxisOptions y, bool equal = false);

}  // namespace tomograph
