#include "tomograph/figures/cloud.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tomograph/base/error.h"
#include "tomograph/base/random.h"

namespace tomograph {

PointLook look_of_cloud(std::int64_t n, double side) {
    // By the share of the panel that the discs would cover if they did not overlap: radius and opacity go
    // down together, so that a hundred points are seen and a million are not one blot.
    const double count = std::max<double>(1.0, static_cast<double>(n));
    const double radius = std::clamp(side / 230.0 * 2.1 * std::pow(count / 250.0, -0.22), 0.42, 2.1);
    const double alpha = std::clamp(0.85 * std::pow(count / 1500.0, -0.28), 0.12, 0.9);
    return {radius, alpha};
}

VisibleRows find_visible(const Eigen::Ref<const Matrix>& points, int dims, const Coloring& coloring) {
    if (points.cols() < dims) {
        throw Error(fmt::format("cannot draw {} dimensions", dims),
                    fmt::format("the points have {}", points.cols()), "");
    }
    const auto* categories = std::get_if<Categories>(&coloring);
    const auto* values = std::get_if<Values>(&coloring);
    const std::size_t n_colored =
        categories != nullptr ? categories->of_point.size() : values->of_point.size();
    if (n_colored != static_cast<std::size_t>(points.rows())) {
        throw Error("cannot colour the points",
                    fmt::format("there are {} points and {} colours", points.rows(), n_colored), "");
    }
    ColorBar bar;
    if (values != nullptr) bar = color_bar_of(*values);
    VisibleRows visible;
    for (std::int64_t row = 0; row < points.rows(); ++row) {
        const auto i = static_cast<std::size_t>(row);
        bool drawn = points.row(row).head(dims).allFinite();
        Color color = 0;
        if (categories != nullptr) {
            const auto category = static_cast<std::size_t>(categories->of_point[i]);
            drawn = drawn && categories->of_point[i] >= 0 && category < categories->names.size();
            if (drawn) color = categories->color(category);
        } else {
            const auto value = static_cast<double>(values->of_point[i]);
            drawn = drawn && std::isfinite(value) && (!values->log || value > 0.0);
            if (drawn) color = bar.color(value);
        }
        if (!drawn) {
            ++visible.n_dropped;
            continue;
        }
        visible.rows.push_back(row);
        visible.colors.push_back(color);
    }
    if (visible.rows.empty()) {
        throw Error(
            "there is nothing to draw",
            points.rows() == 0
                ? "no points were given"
                : fmt::format("none of the {} points has finite coordinates and a colour", points.rows()),
            "");
    }
    return visible;
}

std::vector<LegendEntry> legend_of(const Categories& categories) {
    std::vector<LegendEntry> entries;
    for (std::size_t i = 0; i < categories.names.size(); ++i) {
        entries.push_back({.name = categories.names[i], .color = categories.color(i)});
    }
    return entries;
}

ColorBar color_bar_of(const Values& values) {
    ScaleFinder finder(values.log);
    for (const float value : values.of_point) finder.add(static_cast<double>(value));
    return {finder.scale(), values.map, values.label, values.whole};
}

Discs make_discs(const Eigen::Ref<const Matrix>& points, const VisibleRows& visible, const Camera& camera,
                 PointLook look, std::uint64_t seed) {
    const auto n = static_cast<std::int64_t>(visible.rows.size());
    std::vector<Camera::Placed> placed;
    placed.reserve(visible.rows.size());
    for (const std::int64_t row : visible.rows) placed.push_back(camera.place(points.row(row).data()));
    std::vector<std::int64_t> order = permutation(n, seed);
    if (camera.dims > 2) {
        std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
            return placed[static_cast<std::size_t>(a)].depth < placed[static_cast<std::size_t>(b)].depth;
        });
    }
    Discs discs;
    discs.radius = look.radius;
    discs.alpha = look.alpha;
    for (const std::int64_t i : order) {
        const auto at = static_cast<std::size_t>(i);
        discs.x.push_back(static_cast<float>(placed[at].x));
        discs.y.push_back(static_cast<float>(placed[at].y));
        discs.color.push_back(visible.colors[at]);
    }
    return discs;
}

std::string component_label(int component, double variance_explained) {
    if (!(variance_explained >= 0.0)) return fmt::format("PC {}", component + 1);
    return fmt::format("PC {} ({:.1f} %)", component + 1, 100.0 * variance_explained);
}

}  // namespace tomograph
