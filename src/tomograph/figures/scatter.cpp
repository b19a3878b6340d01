#include "tomograph/figures/scatter.h"

#include <algorithm>
#include <cmath>

#include "tomograph/base/error.h"

namespace tomograph {
namespace {

/// Rows to draw large over the cloud, and their colours.
struct Overlay {
    Matrix points;
    std::vector<Color> colors;
};

Overlay category_means(const Eigen::Ref<const Matrix>& points, const VisibleRows& visible,
                       const Categories& categories, int dims) {
    const auto n_categories = static_cast<Eigen::Index>(categories.names.size());
    MatrixD sums = MatrixD::Zero(n_categories, dims);
    std::vector<std::int64_t> counts(categories.names.size(), 0);
    for (const std::int64_t row : visible.rows) {
        const std::int32_t category = categories.of_point[static_cast<std::size_t>(row)];
        sums.row(category) += points.row(row).head(dims).cast<double>();
        ++counts[static_cast<std::size_t>(category)];
    }
    Overlay means;
    means.points.resize(n_categories, dims);
    Eigen::Index n_means = 0;
    for (Eigen::Index category = 0; category < n_categories; ++category) {
        const std::int64_t count = counts[static_cast<std::size_t>(category)];
        if (count == 0) continue;
        means.points.row(n_means++) = (sums.row(category) / static_cast<double>(count)).cast<float>();
        means.colors.push_back(categories.color(static_cast<std::size_t>(category)));
    }
    means.points.conservativeResize(n_means, dims);
    return means;
}

/// Discs with a dark rim and a white one around it, to stand out from a cloud of their own colour.
void draw_overlay(Page& page, const Overlay& overlay, const Camera& camera) {
    const double radius = overlay.points.rows() <= 20 ? 2.6 : overlay.points.rows() <= 200 ? 1.6 : 0.9;
    for (Eigen::Index row = 0; row < overlay.points.rows(); ++row) {
        if (!overlay.points.row(row).head(camera.dims).allFinite()) continue;
        const auto at = camera.place(overlay.points.row(row).data());
        const Color color = overlay.colors[static_cast<std::size_t>(row)];
        page.disc({at.x, at.y}, radius * 1.62, ink::paper);
        page.disc({at.x, at.y}, radius * 1.28, darkened(color, 0.6));
        page.disc({at.x, at.y}, radius, color);
    }
}

/// Each stretch takes the colour of the point that it starts from, mixed with white to stay behind the points.
void draw_connection(Page& page, const Eigen::Ref<const Matrix>& points, const VisibleRows& visible, const Camera& camera) {
    for (std::size_t i = 0; i + 1 < visible.rows.size(); ++i) {
        const auto from = camera.place(points.row(visible.rows[i]).data());
        const auto to = camera.place(points.row(visible.rows[i + 1]).data());
        page.line({from.x, from.y}, {to.x, to.y}, {0.5, lightened(visible.colors[i], 0.35)});
    }
}

}  // namespace

Drawn draw_scatter(const std::filesystem::path& path, const Eigen::Ref<const Matrix>& points,
                   const Coloring& coloring, const ScatterOptions& options) {
    figure_format(path);
    if (options.dims != 2 && options.dims != 3)
        throw Error("cannot draw a scatter plot", "it has 2 or 3 dimensions", "");
    if (options.overlay.rows() > 0 &&
        (options.overlay.cols() < options.dims ||
         options.overlay_colors.size() != static_cast<std::size_t>(options.overlay.rows()))) {
        throw Error("cannot draw the overlay", "it needs the points' dimensions and a colour for each row",
                    "");
    }
    const VisibleRows visible = find_visible(points, options.dims, coloring);
    Overlay overlay{options.overlay, options.overlay_colors};
    const auto* categories = std::get_if<Categories>(&coloring);
    if (options.show_means && categories != nullptr && options.overlay.rows() == 0) {
        overlay = category_means(points, visible, *categories, options.dims);
    }

    std::vector<Scale> scales;
    for (int axis = 0; axis < options.dims; ++axis) {
        ScaleFinder finder;
        for (const std::int64_t row : visible.rows) finder.add(static_cast<double>(points(row, axis)));
        for (Eigen::Index row = 0; row < overlay.points.rows(); ++row)
            finder.add(static_cast<double>(overlay.points(row, axis)));
        scales.push_back(finder.scale(0.03));
    }

    Box area;
    Page page = make_page(options.figure, options.dims == 3 ? 3.1 : 2.7, area);
    draw_title(page, area, options.figure.title);
    if (categories != nullptr) draw_legend(page, area, legend_of(*categories));
    ColorBar bar;
    if (const auto* values = std::get_if<Values>(&coloring)) {
        bar = color_bar_of(*values);
        area.right -= bar.width();
    }
    const Camera camera =
        draw_space(page, area, scales, {options.dims, options.labels, options.equal, options.view});
    PointLook look =
        look_of_cloud(static_cast<std::int64_t>(visible.rows.size()), std::min(area.width(), area.height()));
    if (options.point_radius > 0.0) look.radius = options.point_radius;
    if (options.point_alpha > 0.0) look.alpha = std::min(options.point_alpha, 1.0);
    if (options.connect) draw_connection(page, points, visible, camera);
    page.discs(make_discs(points, visible, camera, look, options.figure.seed));
    draw_overlay(page, overlay, camera);
    if (categories == nullptr) {
        const double inset = options.dims == 3 ? 0.14 * area.height() : 0.0;
        bar.draw(page, area.right, area.bottom + std::max(inset, 20.0),
                 area.top - std::max(inset, sizes::number * 0.5));
    }
    page.save(path, options.figure.render);
    return {static_cast<std::int64_t>(visible.rows.size()), visible.n_dropped};
}

}  // namespace tomograph
