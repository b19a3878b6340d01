#include "tomograph/figures/heatmap.h"

#include <cmath>

#include "tomograph/base/error.h"

namespace tomograph {

Drawn draw_heatmap(const std::filesystem::path& path, const MatrixD& values, const HeatmapOptions& options) {
    figure_format(path);
    Drawn drawn;
    ScaleFinder finder;
    for (Eigen::Index i = 0; i < values.size(); ++i)
        ++(finder.add(values.data()[i]) ? drawn.n_points : drawn.n_dropped);
    if (drawn.n_points == 0) throw Error("there is nothing to draw", "no value is finite", "");
    Scale scale = finder.scale();
    if (options.low < options.high) scale = {.low = options.low, .high = options.high};

    Box area;
    Page page = make_page(options.figure, options.figure.width * 0.92, area);
    draw_title(page, area, options.figure.title);
    const ColorBar bar{.scale = scale, .map = options.map, .label = options.value_label};
    area.right -= bar.width();
    const auto axis = [](const std::string& label, double first, Eigen::Index n) {
        return AxisOptions{.label = label,
                           .scale = {.low = first - 0.5, .high = first + static_cast<double>(n) - 0.5},
                           .whole = true};
    };
    const Axes axes = draw_axes(page, area, axis(options.x_label, options.first_x, values.cols()),
                                axis(options.y_label, options.first_y, values.rows()));
    for (Eigen::Index row = 0; row < values.rows(); ++row) {
        for (Eigen::Index column = 0; column < values.cols(); ++column) {
            if (!std::isfinite(values(row, column))) continue;
            const double x = options.first_x + static_cast<double>(column) - 0.5,
                         y = options.first_y + static_cast<double>(row) - 0.5;
            const Point from = axes.place(x, y), to = axes.place(x + 1, y + 1);
            page.rectangle(from.x, from.y, to.x - from.x, to.y - from.y, bar.color(values(row, column)));
        }
    }
    bar.draw(page, area.right, axes.box.bottom, axes.box.top);
    page.save(path, options.figure.render);
    return drawn;
}

}  // namespace tomograph
