#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "tomograph/base/matrix.h"
#include "tomograph/figures/layout.h"
#include "tomograph/figures/view.h"

namespace tomograph {

/// Colour by category, with a legend.
struct Categories {
    /// [n], index into names. Points with an index outside names are left out and counted as dropped.
    std::vector<std::int32_t> of_point = {};
    std::vector<std::string> names = {};
    /// One a name; empty: category_color().
    std::vector<Color> colors = {};

    Color color(std::size_t category) const {
        return category < colors.size() ? colors[category] : category_color(static_cast<int>(category));
    }
};

/// Colour by number, with a colour bar.
struct Values {
    /// [n]. Points without a finite value (or a positive one, if `log`) are left out and counted as dropped.
    std::vector<float> of_point = {};
    std::string label = {};
    bool log = false;
    bool whole = false;  ///< no fractions on the bar: layers, positions
    ColorMap map = ColorMap::sequential;
};

using Coloring = std::variant<Categories, Values>;

/// Radius in points of 1/72 inch and opacity that suit a cloud of n points in a panel of `side` points.
struct PointLook {
    double radius = 1.0;
    double alpha = 1.0;
};
PointLook look_of_cloud(std::int64_t n, double side);

/// Rows whose first `dims` coordinates and colour can be drawn, with their colours; shared by all cloud
/// figures.
struct VisibleRows {
    std::vector<std::int64_t> rows = {};
    std::vector<Color> colors = {};
    std::int64_t n_dropped = 0;
};

/// Errors: Error when `points` has fewer than `dims` columns, when the colouring has another length than
/// points has rows, or when no row is left.
VisibleRows find_visible(const Eigen::Ref<const Matrix>& points, int dims, const Coloring& coloring);

/// Legend entries or colour bar of a colouring. A bar's scale holds the given values only.
std::vector<LegendEntry> legend_of(const Categories& categories);
ColorBar color_bar_of(const Values& values);

/// The visible rows as discs in drawing order: from far to near, and at equal depth shuffled by seed.
Discs make_discs(const Eigen::Ref<const Matrix>& points, const VisibleRows& visible, const Camera& camera,
                 PointLook look, std::uint64_t seed);

/// "PC 1 (32.1 %)"; without the share when it is not finite or negative. `component` counts from 0.
std::string component_label(int component, double variance_explained = -1.0);

}  // namespace tomograph
