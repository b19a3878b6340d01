#include "tomograph/figures/page.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/figures/text.h"

namespace tomograph {
namespace {

/// What turns our units, points of 1/72 inch, into those of a gnuplot terminal. The factors were measured on
/// gnuplot 5.4 pictures.
struct Terminal {
    std::string command;
    std::string font;
    double font_size;         ///< terminal font size of a 1 pt font
    double line_width;        ///< terminal line width of a 1 pt line
    double disc_size;         ///< terminal point size of a disc of diameter 1 pt
    double disc_outline;      ///< what the terminal adds to a disc's diameter, in pt
    double pixels_per_point;  ///< of raster layers
};

Terminal make_terminal(FigureFormat format, double width, double height, const RenderOptions& options) {
    // Twice the 96 pixels per inch of the web: large enough to read on a screen, and scaled to fit in a
    // paper.
    constexpr double svg_dpi = 192.0;
    const double pixels = (format == FigureFormat::svg ? svg_dpi : options.dpi) / 72.0;
    const double raster_pixels = (format == FigureFormat::png ? options.dpi : options.raster_dpi) / 72.0;
    const std::string size = fmt::format("{},{}", std::lround(width * pixels), std::lround(height * pixels));
    // Pango counts 96 pixels per inch where we count 72, hence 0.75; pdfcairo halves all fonts by default;
    // the SVG terminal's point size follows its font, which render() sets to 7 pt.
    switch (format) {
        case FigureFormat::png:
            return {fmt::format("pngcairo size {} truecolor", size),
                    "DejaVu Sans",
                    0.75 * pixels,
                    pixels,
                    pixels / 6.0,
                    0.0,
                    raster_pixels};
        case FigureFormat::svg:
            return {fmt::format("svg size {}", size),
                    "sans-serif",
                    pixels,
                    pixels,
                    1.2 / 7.0,
                    0.0,
                    raster_pixels};
        case FigureFormat::pdf:
            break;
    }
    return {fmt::format("pdfcairo size {:.4f}in,{:.4f}in", width / 72.0, height / 72.0),
            "DejaVu Sans",
            1.5,
            2.0,
            1.0 / 6.0,
            0.2,
            raster_pixels};
}

template <class T>
void put(std::string& bytes, T value) {
    char raw[sizeof value];
    std::memcpy(raw, &value, sizeof value);
    bytes.append(raw, sizeof value);
}

void put_point(std::string& bytes, Point point) {
    put(bytes, static_cast<float>(point.x));
    put(bytes, static_cast<float>(point.y));
}

/// The plot command and the binary data that its elements read, which follow it in the same order.
struct Plot {
    std::string elements;
    std::string data;

    /// `layout` says how the data lie: "record=N format='...' using 1:2". `endian` is fixed as the machine's
    /// own.
    void add(std::string_view layout, std::string_view style, const char* name) {
        elements += fmt::format("{}'-' binary {} {} title '{}'", elements.empty() ? "plot " : ", ", layout,
                                style, name);
    }
};

/// The strokes of a dashed line. gnuplot's own dashes come out in another length in each terminal.
std::vector<std::vector<Point>> dashed(const std::vector<Point>& path, double on, double off) {
    std::vector<std::vector<Point>> strokes{{path.front()}};
    bool drawing = true;
    double left = on;
    for (std::size_t i = 1; i < path.size(); ++i) {
        Point from = path[i - 1];
        double length = std::hypot(path[i].x - from.x, path[i].y - from.y);
        while (length > left) {
            from.x += (path[i].x - from.x) * left / length;
            from.y += (path[i].y - from.y) * left / length;
            length -= left;
            if (drawing)
                strokes.back().push_back(from);
            else
                strokes.push_back({from});
            drawing = !drawing;
            left = drawing ? on : off;
        }
        left -= length;
        if (drawing) strokes.back().push_back(path[i]);
    }
    if (strokes.back().size() < 2) strokes.pop_back();
    return strokes;
}

/// gnuplot writes a font's name into SVG as it stands: give it fallbacks and its weight. Only the attributes
/// at the front of a line are touched: a label may hold the same words.
std::string mended_svg(const std::string& svg) {
    constexpr std::string_view plain = "font-family=\"sans-serif\"";
    constexpr std::string_view bold = "font-family=\"sans-serif:Bold\"";
    const std::string family = "font-family=\"DejaVu Sans, Verdana, Arial, sans-serif\"";
    std::string result;
    result.reserve(svg.size() + svg.size() / 64);
    std::size_t begin = 0;
    while (begin < svg.size()) {
        const std::size_t end = std::min(svg.find('\n', begin), svg.size() - 1) + 1;
        std::string line = svg.substr(begin, end - begin);
        begin = end;
        if (line.rfind("\t<g transform=", 0) == 0 || line.rfind("\t\t<text><tspan font-family=", 0) == 0) {
            const std::size_t at = line.find("font-family=");
            if (line.compare(at, plain.size(), plain) == 0)
                line.replace(at, plain.size(), family);
            else if (line.compare(at, bold.size(), bold) == 0)
                line.replace(at, bold.size(), family + " font-weight=\"bold\"");
        }
        // gnuplot escapes < and & but not this, which XML forbids in text.
        for (std::size_t at = line.find("]]>"); at != std::string::npos; at = line.find("]]>", at))
            line.replace(at, 3, "]]&gt;");
        result += line;
    }
    return result;
}

std::string hex(Color color) {
    return fmt::format("#{:06x}", color);
}

void add_image(Plot& plot, const Raster& raster, double pixels_per_point) {
    if (raster.rgba.empty()) return;
    // gnuplot wants the centre of the first pixel.
    plot.add(
        fmt::format("array=({},{}) origin=({:.6f},{:.6f}) dx={:.9f} dy={:.9f} "
                    "format='%uchar%uchar%uchar%uchar' using 1:2:3:4",
                    raster.width, raster.height, (raster.left + 0.5) / pixels_per_point,
                    (raster.bottom + 0.5) / pixels_per_point, 1.0 / pixels_per_point, 1.0 / pixels_per_point),
        "with rgbalpha", "points");
    plot.data.append(reinterpret_cast<const char*>(raster.rgba.data()), raster.rgba.size());
}

void add_points(Plot& plot, const Discs& discs, const Terminal& terminal) {
    const double diameter = std::max(0.05, 2.0 * discs.radius - terminal.disc_outline);
    plot.add(
        fmt::format("record={} format='%float32%float32%uint32' using 1:2:3", discs.x.size()),
        fmt::format("with points pt 7 ps {:.5f} lw 0.001 lc rgb variable", diameter * terminal.disc_size),
        "points");
    // gnuplot's highest byte is transparency, not opacity.
    const auto transparency = static_cast<std::uint32_t>(std::lround((1.0 - discs.alpha) * 255.0)) << 24;
    for (std::size_t i = 0; i < discs.x.size(); ++i) {
        put_point(plot.data, {discs.x[i], discs.y[i]});
        put(plot.data, static_cast<std::uint32_t>(transparency | discs.color[i]));
    }
}

}  // namespace

void Page::text(double x, double y, std::string_view text, const TextStyle& style) {
    if (!text.empty()) texts_.push_back({x, y, readable(text), style});
}

void Page::line(Point from, Point to, const Stroke& stroke) {
    polyline({from, to}, stroke);
}

void Page::polyline(const std::vector<Point>& points, const Stroke& stroke) {
    Lines* lines = layers_.empty() ? nullptr : std::get_if<Lines>(&layers_.back());
    if (lines == nullptr || !(lines->stroke == stroke)) {
        layers_.emplace_back(Lines{stroke, {}});
        lines = &std::get<Lines>(layers_.back());
    }
    std::vector<Point> path;
    const auto finish = [&] {
        if (path.size() > 1) lines->paths.push_back(std::move(path));
        path.clear();
    };
    for (const Point point : points) {
        if (std::isfinite(point.x) && std::isfinite(point.y))
            path.push_back(point);
        else
            finish();
    }
    finish();
    if (lines->paths.empty()) layers_.pop_back();
}

void Page::polygon(const std::vector<Point>& points, Color color, double alpha) {
    if (points.size() > 2) layers_.emplace_back(Polygon{points, color, alpha});
}

void Page::rectangle(double left, double bottom, double width, double height, Color color) {
    Rectangles* rectangles = layers_.empty() ? nullptr : std::get_if<Rectangles>(&layers_.back());
    if (rectangles == nullptr) {
        layers_.emplace_back(Rectangles{});
        rectangles = &std::get<Rectangles>(layers_.back());
    }
    rectangles->corners.push_back({{left, bottom}, {left + width, bottom + height}});
    rectangles->colors.push_back(color);
}

void Page::discs(Discs discs) {
    if (!discs.x.empty()) layers_.emplace_back(std::move(discs));
}

void Page::disc(Point center, double radius, Color color) {
    discs({{static_cast<float>(center.x)}, {static_cast<float>(center.y)}, {color}, radius, 1.0});
}

std::string Page::render(FigureFormat format, const RenderOptions& options) const {
    const Terminal terminal = make_terminal(format, width_, height_, options);
    std::string script = fmt::format(
        "set terminal {} noenhanced rounded background rgb '#ffffff' font '{},{:.4f}'\n"
        "set encoding utf8\nunset border\nunset tics\nunset key\n"
        "set lmargin at screen 0\nset rmargin at screen 1\nset bmargin at screen 0\nset tmargin at screen 1\n"
        "set xrange [0:{:.6f}]\nset yrange [0:{:.6f}]\n",
        terminal.command, terminal.font, 7.0 * terminal.font_size, width_, height_);

    const auto add_text = [&](double x, double y, const std::string& text, const TextStyle& style,
                              Color color) {
        const char* align = style.align == Align::left    ? "left"
                            : style.align == Align::right ? "right"
                                                          : "center";
        script += fmt::format(
            "set label {} at {:.4f},{:.4f} {} rotate by {:.2f} font '{}{},{:.4f}' textcolor rgb '{}' front\n",
            gnuplot_quote(text), x, y, align, style.rotate, terminal.font, style.bold ? ":Bold" : "",
            style.size * terminal.font_size, hex(color));
    };
    for (const Text& item : texts_) {
        const std::string text = format == FigureFormat::svg ? item.text : with_glyphs(item.text);
        if (item.style.halo) {
            for (int step = 0; step < 8; ++step) {
                const double angle = step * 3.14159265358979 / 4.0;
                add_text(item.x + 0.7 * std::cos(angle), item.y + 0.7 * std::sin(angle), text, item.style,
                         ink::paper);
            }
        }
        add_text(item.x, item.y, text, item.style, item.style.color);
    }

    std::int64_t n_discs = 0;
    for (const Layer& layer : layers_) {
        if (const auto* discs = std::get_if<Discs>(&layer))
            n_discs += static_cast<std::int64_t>(discs->x.size());
    }
    // Few discs stay vectors even on a crowded page: markers, legends and means are sharp beside a painted
    // cloud.
    constexpr std::size_t always_vector = 500;
    const bool painted = n_discs > options.raster_above;

    Plot plot;
    for (const Layer& layer : layers_) {
        if (const auto* lines = std::get_if<Lines>(&layer)) {
            // One record, in which a point that is no number ends a line: gnuplot would join separate
            // records.
            const double width = lines->stroke.width;
            constexpr double none = std::numeric_limits<double>::quiet_NaN();
            std::size_t n_points = 0;
            const auto add_path = [&](const std::vector<Point>& path) {
                for (const Point point : path) put_point(plot.data, point);
                put_point(plot.data, {none, none});
                n_points += path.size() + 1;
            };
            for (const auto& path : lines->paths) {
                // Line ends are round: they reach half a width into each gap.
                const bool dots = lines->stroke.dash == Dash::dotted;
                if (lines->stroke.dash == Dash::solid)
                    add_path(path);
                else
                    for (const auto& part :
                         dashed(path, dots ? 0.05 : 2.6 + width, dots ? 2.0 * width + 0.6 : 1.6 + width))
                        add_path(part);
            }
            if (n_points == 0) continue;
            plot.add(fmt::format("record={} format='%float32%float32' using 1:2", n_points),
                     fmt::format("with lines lw {:.5f} lc rgb '{}'", width * terminal.line_width,
                                 hex(lines->stroke.color)),
                     "lines");
        } else if (const auto* polygon = std::get_if<Polygon>(&layer)) {
            plot.add(fmt::format("record={} format='%float32%float32' using 1:2", polygon->points.size()),
                     fmt::format("with filledcurves closed fc rgb '{}' fs transparent solid {:.3f} noborder",
                                 hex(polygon->color), polygon->alpha),
                     "area");
            for (const Point point : polygon->points) put_point(plot.data, point);
        } else if (const auto* rectangles = std::get_if<Rectangles>(&layer)) {
            plot.add(fmt::format("record={} format='%float32%float32%float32%float32%uint32' "
                                 "using 1:3:1:2:3:4:5",
                                 rectangles->corners.size()),
                     "with boxxyerror fs solid noborder lc rgb variable", "boxes");
            for (std::size_t i = 0; i < rectangles->corners.size(); ++i) {
                const auto [low, high] = rectangles->corners[i];
                put_point(plot.data, {low.x, high.x});
                put_point(plot.data, {low.y, high.y});
                put(plot.data, static_cast<std::uint32_t>(rectangles->colors[i]));
            }
        } else {
            const auto& discs = std::get<Discs>(layer);
            if (painted && discs.x.size() > always_vector) {
                const double scale = terminal.pixels_per_point;
                add_image(plot,
                          paint(discs, scale, static_cast<int>(std::lround(width_ * scale)),
                                static_cast<int>(std::lround(height_ * scale))),
                          scale);
            } else {
                add_points(plot, discs, terminal);
            }
        }
    }
    // An empty sheet must still be plotted for its text to appear.
    script += (plot.elements.empty() ? "plot -1 notitle" : plot.elements) + "\n" + plot.data;
    std::string picture = run_gnuplot(script);
    return format == FigureFormat::svg ? mended_svg(picture) : picture;
}

void Page::save(const std::filesystem::path& path, const RenderOptions& options) const {
    const std::string bytes = render(figure_format(path), options);
    AtomicFile file(path);
    file.write(bytes);
    file.commit();
}

}  // namespace tomograph
