#include "tomograph/figures/pair_grid.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tomograph/base/error.h"
#include "tomograph/base/random.h"
#include "tomograph/figures/text.h"

namespace tomograph {
namespace {

constexpr double gap = 4.0;  // between cells

std::string name_of(const PairGridOptions& options, int component) {
    const auto i = static_cast<std::size_t>(component);
    return i < options.names.size() ? options.names[i] : component_label(component);
}

void draw_border(Page& page, const Box& cell) {
    page.polyline({{cell.left, cell.bottom},
                   {cell.right, cell.bottom},
                   {cell.right, cell.top},
                   {cell.left, cell.top},
                   {cell.left, cell.bottom}},
                  {0.4, 0xBBBBBB});
}

/// Name, share of variance and the component against the value that colours it.
void draw_diagonal(Page& page, const Box& cell, const Eigen::Ref<const Matrix>& points,
                   const VisibleRows& visible, const Values& values, const ColorBar& bar, const Scale& scale,
                   int component, const PairGridOptions& options) {
    const double middle = (cell.left + cell.right) / 2.0;
    const auto i = static_cast<std::size_t>(component);
    const bool has_share = i < options.variance.size() && std::isfinite(options.variance[i]);
    const double top = options.profiles ? cell.top - sizes::label * 0.7
                                        : (cell.top + cell.bottom) / 2.0 + (has_share ? 4.5 : 0.0);
    page.text(middle, top,
              shortened(readable(name_of(options, component)), sizes::label, cell.width() - 2.0, true),
              {.size = sizes::label, .align = Align::center, .bold = true});
    if (has_share) {
        page.text(middle, top - 9.0, fmt::format("{:.1f} %", 100.0 * options.variance[i]),
                  {.size = sizes::number, .color = ink::faint_text, .align = Align::center});
    }
    if (!options.profiles) return;
    const Box chart{cell.left + 2.0, cell.bottom + 2.0, cell.right - 2.0, top - (has_share ? 14.0 : 6.0)};
    page.line({chart.left, chart.bottom + std::clamp(scale.place(0.0), 0.0, 1.0) * chart.height()},
              {chart.right, chart.bottom + std::clamp(scale.place(0.0), 0.0, 1.0) * chart.height()},
              {0.4, 0xDDDDDD});
    // The chart is small: at most this many points of it can be told apart.
    constexpr std::int64_t most = 1500;
    const auto n = static_cast<std::int64_t>(visible.rows.size());
    Discs discs;
    discs.radius = std::max(0.45, cell.width() / 230.0);
    for (const std::int64_t k : sample_indices(n, most, options.figure.seed)) {
        const std::int64_t row = visible.rows[static_cast<std::size_t>(k)];
        discs.x.push_back(static_cast<float>(
            chart.left +
            bar.scale.place(static_cast<double>(values.of_point[static_cast<std::size_t>(row)])) *
                chart.width()));
        discs.y.push_back(static_cast<float>(
            chart.bottom + scale.place(static_cast<double>(points(row, component))) * chart.height()));
        discs.color.push_back(visible.colors[static_cast<std::size_t>(k)]);
    }
    page.discs(std::move(discs));
}

}  // namespace

Drawn draw_pair_grid(const std::filesystem::path& path, const Eigen::Ref<const Matrix>& points,
                     const Values& values, const PairGridOptions& options) {
    figure_format(path);
    const int k = options.components;
    if (k < 2 || k > 12)
        throw Error(fmt::format("cannot draw the pairs of {} components", k), "a grid has 2 to 12", "");
    const VisibleRows visible = find_visible(points, k, values);
    const ColorBar bar = color_bar_of(values);
    std::vector<Scale> scales;
    for (int component = 0; component < k; ++component) {
        ScaleFinder finder;
        for (const std::int64_t row : visible.rows) finder.add(static_cast<double>(points(row, component)));
        scales.push_back(finder.scale(0.05));
    }

    Box area;
    // Square cells, and a title of two lines above them.
    Page page = make_page(options.figure, options.figure.width + 0.2, area);
    draw_title(page, area, options.figure.title);
    const double left_room = sizes::label * 1.4;
    const double side = (std::min(area.width() - left_room, area.height() - left_room) - gap * (k - 1)) / k;
    const Box grid{area.left + left_room, area.top - k * side - (k - 1) * gap,
                   area.left + left_room + k * side + (k - 1) * gap, area.top};
    const auto cell = [&](int row, int column) {
        const double left = grid.left + column * (side + gap);
        const double top = grid.top - row * (side + gap);
        return Box{left, top - side, left + side, top};
    };
    const PointLook look = look_of_cloud(static_cast<std::int64_t>(visible.rows.size()), side);
    for (int row = 0; row < k; ++row) {
        for (int column = 0; column < row; ++column) {
            const Box box = cell(row, column);
            const Scale& x = scales[static_cast<std::size_t>(column)];
            const Scale& y = scales[static_cast<std::size_t>(row)];
            Camera camera;
            camera.map(0, 0) = box.width() / (x.high - x.low);
            camera.map(1, 1) = box.height() / (y.high - y.low);
            camera.map(0, 3) = box.left - x.low * camera.map(0, 0);
            camera.map(1, 3) = box.bottom - y.low * camera.map(1, 1);
            if (x.low < 0.0 && x.high > 0.0)
                page.line({camera.map(0, 3), box.bottom}, {camera.map(0, 3), box.top}, {0.4, ink::grid});
            if (y.low < 0.0 && y.high > 0.0)
                page.line({box.left, camera.map(1, 3)}, {box.right, camera.map(1, 3)}, {0.4, ink::grid});
            Matrix pair(points.rows(), 2);
            pair << points.col(column), points.col(row);
            page.discs(make_discs(pair, visible, camera, {std::max(look.radius, 0.42), look.alpha},
                                  options.figure.seed));
            draw_border(page, box);
        }
        const Box box = cell(row, row);
        draw_diagonal(page, box, points, visible, values, bar, scales[static_cast<std::size_t>(row)], row,
                      options);
        draw_border(page, box);
    }
    for (int i = 0; i < k; ++i) {
        const TextStyle style{.size = sizes::label, .color = ink::faint_text, .align = Align::center};
        const std::string name = shortened(readable(name_of(options, i)), sizes::label, side);
        if (i + 1 < k)
            page.text(cell(k - 1, i).left + side / 2.0, grid.bottom - sizes::label * 0.8, name, style);
        TextStyle upright = style;
        upright.rotate = 90.0;
        if (i > 0) page.text(grid.left - sizes::label * 0.8, cell(i, 0).bottom + side / 2.0, name, upright);
    }
    // The upper triangle is free for the bar.
    const double bar_bottom = k > 2 ? cell(k / 2 - 1, k - 1).bottom : cell(0, 1).bottom + 2.0;
    bar.draw(page, grid.right - bar.width() - 2.0, bar_bottom, grid.top - 2.0);
    page.save(path, options.figure.render);
    return {static_cast<std::int64_t>(visible.rows.size()), visible.n_dropped};
}

}  // namespace tomograph
