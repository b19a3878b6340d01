#include "tomograph/figures/layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tomograph/base/error.h"
#include "tomograph/figures/text.h"

namespace tomograph {
namespace {

constexpr double legend_mark = 11.0;  // width of a legend's mark with the gap behind it
constexpr double legend_gap = 9.0;    // between entries of a row
constexpr double legend_row = 9.5;

void draw_entry(Page& page, double x, double y, const LegendEntry& entry, const std::string& name) {
    const double middle = x + 4.0;
    switch (entry.mark) {
        case Mark::disc:
            page.disc({middle, y}, 2.2, entry.color);
            break;
        case Mark::patch:
            page.rectangle(x + 0.8, y - 2.6, 6.4, 5.2, entry.color);
            break;
        default: {
            const Dash dash = entry.mark == Mark::line     ? Dash::solid
                              : entry.mark == Mark::dashed ? Dash::dashed
                                                           : Dash::dotted;
            page.line({x - 0.5, y}, {x + 8.5, y}, {1.2, entry.color, dash});
            if (entry.marker) page.disc({middle, y}, 1.6, entry.color);
        }
    }
    page.text(x + legend_mark, y, name, {.size = sizes::legend});
}

double widest_label(const Ticks& ticks) {
    double width = 0.0;
    for (const Tick& tick : ticks.ticks) width = std::max(width, text_width(tick.label, sizes::number));
    return width;
}

/// Ticks of an axis `length` points long, at most one for `spacing` points.
Ticks ticks_for(const AxisOptions& axis, double length, double spacing) {
    if (!axis.ticks.empty()) return {axis.ticks, 0};
    return find_ticks(axis.scale, std::max(2, static_cast<int>(length / spacing)), axis.whole);
}

/// Leave out labels that would touch their neighbours on a horizontal axis.
void thin_out(std::vector<Tick>& ticks, const Scale& scale, double length) {
    double free_from = -1e9;
    for (Tick& tick : ticks) {
        if (tick.label.empty()) continue;
        const double middle = scale.place(tick.value) * length;
        const double half = text_width(tick.label, sizes::number) / 2.0;
        if (middle - half < free_from)
            tick.label.clear();
        else
            free_from = middle + half + 3.0;
    }
}

}  // namespace

Page make_page(const FigureOptions& options, double default_height, Box& area) {
    const double height = options.height > 0.0 ? options.height : default_height;
    for (const double size : {options.width, height}) {
        if (!(size >= 1.0 && size <= 100.0)) {
            throw Error(fmt::format("cannot draw a figure {} inches by {}", options.width, height),
                        "a side must be between 1 and 100 inches", "");
        }
        const double pixels = size * std::max(options.render.dpi, options.render.raster_dpi);
        if (!(options.render.dpi >= 20.0 && options.render.raster_dpi >= 20.0 && pixels <= 30000.0)) {
            throw Error(fmt::format("cannot draw a figure at {} pixels per inch", options.render.dpi),
                        "it must be at least 20 and give at most 30,000 pixels a side", "");
        }
    }
    const double page_width = options.width * 72.0;
    const double page_height = height * 72.0;
    area = {sizes::margin, sizes::margin, page_width - sizes::margin, page_height - sizes::margin};
    return {page_width, page_height};
}

void draw_title(Page& page, Box& area, const std::string& title) {
    std::size_t begin = 0;
    bool first = true;
    double y = area.top;
    while (begin < title.size()) {
        const std::size_t end = std::min(title.find('\n', begin), title.size());
        const double size = first ? sizes::title : sizes::subtitle;
        const double line_height = size * 1.25;
        const auto lines = wrapped(readable(title.substr(begin, end - begin)), size, area.width(), 3, first);
        for (const std::string& line : lines) {
            // Whatever is said, half of the page stays for the data.
            if (y - line_height < area.bottom + page.height() * 0.5) break;
            page.text(area.left, y - line_height / 2.0, line,
                      {.size = size, .color = first ? ink::text : ink::faint_text, .bold = first});
            y -= line_height;
        }
        first = false;
        begin = end + 1;
    }
    if (!title.empty()) area.top = y - 3.0;
}

void draw_legend(Page& page, Box& area, const std::vector<LegendEntry>& entries) {
    if (entries.empty()) return;
    constexpr std::size_t most_rows = 3;
    std::vector<std::string> names;
    std::vector<double> widths;
    for (const LegendEntry& entry : entries) {
        names.push_back(shortened(readable(entry.name), sizes::legend, 0.42 * area.width()));
        widths.push_back(legend_mark + text_width(names.back(), sizes::legend));
    }
    std::vector<std::size_t> row_ends;
    double x = 0.0;
    for (std::size_t i = 0; i < entries.size(); ++i) {
        if (x > 0.0 && x + widths[i] > area.width()) row_ends.push_back(i), x = 0.0;
        x += widths[i] + legend_gap;
    }
    row_ends.push_back(entries.size());
    if (row_ends.size() <= most_rows) {
        std::size_t i = 0;
        for (const std::size_t end : row_ends) {
            x = area.left;
            for (; i < end; ++i) {
                draw_entry(page, x, area.top - legend_row / 2.0, entries[i], names[i]);
                x += widths[i] + legend_gap;
            }
            area.top -= legend_row;
        }
        area.top -= 4.0;
        return;
    }
    const double widest = *std::max_element(widths.begin(), widths.end());
    area.right -= widest;
    const auto fitting = static_cast<std::size_t>(std::max(1.0, area.height() / legend_row));
    const std::size_t shown = entries.size() <= fitting ? entries.size() : fitting - 1;
    for (std::size_t i = 0; i < shown; ++i) {
        draw_entry(page, area.right, area.top - (static_cast<double>(i) + 0.5) * legend_row, entries[i],
                   names[i]);
    }
    if (shown < entries.size()) {
        page.text(area.right + legend_mark, area.top - (static_cast<double>(shown) + 0.5) * legend_row,
                  fmt::format("and {} more", entries.size() - shown),
                  {.size = sizes::legend, .color = ink::faint_text});
    }
    area.right -= 8.0;
}

namespace {
constexpr double bar_width = 6.0;
constexpr double bar_gap = 9.0;  // between the plot and the bar
}  // namespace

double ColorBar::width() const {
    // Measured with many ticks, to be on the safe side whatever the bar's length.
    const double numbers =
        std::max(widest_label(find_ticks(scale, 5, whole)), widest_label(find_ticks(scale, 8, whole)));
    return bar_gap + bar_width + sizes::tick + 2.0 + numbers +
           (label.empty() ? 0.0 : 2.0 + sizes::label * 1.2);
}

void ColorBar::draw(Page& page, double x, double bottom, double top) const {
    constexpr int steps = 128;
    const double left = x + bar_gap;
    const double height = top - bottom;
    // Each step reaches to the top and the next covers it: steps side by side would show seams in PDF
    // viewers.
    for (int i = 0; i < steps; ++i) {
        const double y = bottom + height * i / steps;
        page.rectangle(left, y, bar_width, top - y, map_color(map, (i + 0.5) / steps));
    }
    const Ticks ticks = find_ticks(scale, std::clamp(static_cast<int>(height / 24.0), 2, 8), whole);
    const double right = left + bar_width;
    double free_from = -1e9;
    for (const Tick& tick : ticks.ticks) {
        const double y = bottom + scale.place(tick.value) * height;
        page.line({right, y}, {right + (tick.label.empty() ? 0.6 : 1.0) * sizes::tick, y}, {});
        if (tick.label.empty() || y < free_from) continue;
        page.text(right + sizes::tick + 2.0, y, tick.label,
                  {.size = sizes::number, .color = ink::faint_text});
        free_from = y + sizes::number * 1.1;
    }
    if (label.empty()) return;
    const std::string name = shortened(readable(label) + power_note(ticks), sizes::label, height);
    page.text(x + width() - sizes::label * 0.6, bottom + height / 2.0, name,
              {.size = sizes::label, .align = Align::center, .rotate = 90.0});
}

Axes draw_axes(Page& page, const Box& area, AxisOptions x, AxisOptions y, bool equal) {
    Box box = area;
    box.bottom +=
        sizes::tick + 2.0 + sizes::number * 1.1 + (x.label.empty() ? 0.0 : 2.0 + sizes::label * 1.2);
    // Room for half a number above the top tick and at the end of the x axis.
    box.top -= sizes::number * 0.5;
    Ticks y_ticks = ticks_for(y, box.height(), 18.0);
    const auto left_room = [&] {
        return sizes::tick + 2.0 + widest_label(y_ticks) + (y.label.empty() ? 0.0 : 2.0 + sizes::label * 1.2);
    };
    box.left = area.left + left_room();
    if (equal && !x.scale.log && !y.scale.log) {
        // The widened scale can have wider numbers, which narrow the box: twice is enough.
        const AxisOptions given_x = x, given_y = y;
        for (int round = 0; round < 2; ++round) {
            x.scale = given_x.scale, y.scale = given_y.scale;
            const double unit = std::max((x.scale.high - x.scale.low) / box.width(),
                                         (y.scale.high - y.scale.low) / box.height());
            const auto widen = [&](Scale& scale, double length) {
                const double more = (unit * length - (scale.high - scale.low)) / 2.0;
                scale.low -= more, scale.high += more;
            };
            widen(x.scale, box.width());
            widen(y.scale, box.height());
            y_ticks = ticks_for(y, box.height(), 18.0);
            box.left = area.left + left_room();
        }
    }
    Ticks x_ticks = ticks_for(x, box.width(), 26.0);
    thin_out(x_ticks.ticks, x.scale, box.width());
    // The last number may reach past the axis's end.
    for (const Tick& tick : x_ticks.ticks) {
        const double reach =
            box.left + x.scale.place(tick.value) * box.width() + text_width(tick.label, sizes::number) / 2.0;
        if (!tick.label.empty() && reach > area.right) box.right -= std::min(reach - area.right, 20.0);
    }
    const Axes axes{x.scale, y.scale, box};

    for (const Tick& tick : x_ticks.ticks) {
        const double at = box.left + x.scale.place(tick.value) * box.width();
        if (!tick.label.empty()) page.line({at, box.bottom}, {at, box.top}, {0.4, ink::grid});
    }
    for (const Tick& tick : y_ticks.ticks) {
        const double at = box.bottom + y.scale.place(tick.value) * box.height();
        if (!tick.label.empty()) page.line({box.left, at}, {box.right, at}, {0.4, ink::grid});
    }
    for (const Tick& tick : x_ticks.ticks) {
        const double at = box.left + x.scale.place(tick.value) * box.width();
        page.line({at, box.bottom}, {at, box.bottom - (tick.label.empty() ? 0.6 : 1.0) * sizes::tick}, {});
        page.text(at, box.bottom - sizes::tick - 2.0 - sizes::number * 0.5, tick.label,
                  {.size = sizes::number, .color = ink::faint_text, .align = Align::center});
    }
    for (const Tick& tick : y_ticks.ticks) {
        const double at = box.bottom + y.scale.place(tick.value) * box.height();
        page.line({box.left, at}, {box.left - (tick.label.empty() ? 0.6 : 1.0) * sizes::tick, at}, {});
        page.text(box.left - sizes::tick - 2.0, at, tick.label,
                  {.size = sizes::number, .color = ink::faint_text, .align = Align::right});
    }
    page.polyline({{box.left, box.top}, {box.left, box.bottom}, {box.right, box.bottom}}, {});

    const auto name = [](const std::string& label, const Ticks& ticks, double length) {
        return shortened(readable(label) + power_note(ticks), sizes::label, length);
    };
    // Around the middle of its axis, a name may reach to the area's nearer end.
    const auto room = [](double low, double high, double middle) {
        return 2.0 * std::min(middle - low, high - middle);
    };
    if (!x.label.empty()) {
        page.text((box.left + box.right) / 2.0, area.bottom + sizes::label * 0.5,
                  name(x.label, x_ticks, room(area.left, area.right, (box.left + box.right) / 2.0)),
                  {.size = sizes::label, .align = Align::center});
    }
    if (!y.label.empty()) {
        page.text(area.left + sizes::label * 0.6, (box.bottom + box.top) / 2.0,
                  name(y.label, y_ticks, room(area.bottom, area.top, (box.bottom + box.top) / 2.0)),
                  {.size = sizes::label, .align = Align::center, .rotate = 90.0});
    }
    return axes;
}

}  // namespace tomograph
