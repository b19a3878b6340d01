#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "tomograph/figures/gnuplot.h"
#include "tomograph/figures/palette.h"
#include "tomograph/figures/raster.h"

namespace tomograph {

enum class Align { left, center, right };
enum class Dash { solid, dashed, dotted };

struct Stroke {
    double width = 0.5;  ///< points of 1/72 inch
    Color color = ink::axis;
    Dash dash = Dash::solid;
    bool operator==(const Stroke&) const = default;
};

struct TextStyle {
    double size = 7.0;  ///< font size in points
    Color color = ink::text;
    Align align = Align::left;
    double rotate = 0.0;  ///< degrees, counter-clockwise
    bool bold = false;
    bool halo = false;  ///< a white rim, for text over data
};

struct Point {
    double x = 0.0, y = 0.0;
};

struct RenderOptions {
    /// Pixels per inch of a PNG. Default 480: 1632 pixels for a paper column of 3.4 inches.
    double dpi = 480.0;
    /// When a page has more discs than this, its clouds of discs are painted as images (Raster). Default
    /// 20,000.
    std::int64_t raster_above = 20000;
    /// Pixels per inch of those images in SVG and PDF. Default 480.
    double raster_dpi = 480.0;
};

/// A sheet to draw on, measured in points of 1/72 inch from its lower left corner. Later strokes cover
/// earlier ones; text lies over all. Every figure is laid out on a Page in full, and gnuplot draws the sheet:
/// so two- and three-dimensional plots, grids, legends and colour bars look the same in PNG, SVG and PDF.
class Page {
  public:
    Page(double width, double height) : width_(width), height_(height) {}
    double width() const { return width_; }
    double height() const { return height_; }

    /// One line of text whose middle height is at `y`. Any bytes are shown literally (see readable()).
    void text(double x, double y, std::string_view text, const TextStyle& style = {});
    /// A straight line.
    void line(Point from, Point to, const Stroke& stroke);
    /// Connected lines. A point that is not finite breaks the line.
    void polyline(const std::vector<Point>& points, const Stroke& stroke);
    /// A filled area without an outline.
    void polygon(const std::vector<Point>& points, Color color, double alpha = 1.0);
    void rectangle(double left, double bottom, double width, double height, Color color);
    void discs(Discs discs);
    void disc(Point center, double radius, Color color);

    /// The file's bytes. Errors: see run_gnuplot().
    std::string render(FigureFormat format, const RenderOptions& options = {}) const;
    /// Render to a file in the format of its extension. The file appears complete or not at all.
    void save(const std::filesystem::path& path, const RenderOptions& options = {}) const;

  private:
    struct Lines {
        Stroke stroke;
        std::vector<std::vector<Point>> paths;
    };
    struct Polygon {
        std::vector<Point> points;
        Color color;
        double alpha;
    };
    struct Rectangles {
        std::vector<std::pair<Point, Point>> corners;
        std::vector<Color> colors;
    };
    struct Text {
        double x, y;
        std::string text;
        TextStyle style;
    };
    using Layer = std::variant<Lines, Polygon, Rectangles, Discs>;

    double width_;
    double height_;
    std::vector<Layer> layers_;
    std::vector<Text> texts_;
};

}  // namespace tomograph
