#pragma once
#include <array>
#include <filesystem>
#include <string>

#include "tomograph/figures/cloud.h"

namespace tomograph {

struct ScatterOptions {
    /// 2 or 3: the first columns of the points are drawn. Default 2.
    int dims = 2;
    /// One an axis; see component_label().
    std::array<std::string, 3> labels{"PC 1", "PC 2", "PC 3"};
    /// A unit has one length on all axes, so that angles and distances can be compared. Default false.
    bool equal = false;
    /// Three dimensions only.
    ViewOptions view = {};
    /// Points' radius in points of 1/72 inch and opacity; 0: chosen by their number (look_of_cloud()).
    double point_radius = 0.0;
    double point_alpha = 0.0;
    /// A thin line through the points in the order of their rows, such as positions along a helix. Default
    /// false.
    bool connect = false;
    /// Draw each category's mean as a large ringed disc. Ignored when coloured by value. Default false.
    bool show_means = false;
    /// More points [m, >= dims] to draw large and ringed over the cloud, such as means over samples; empty:
    /// none.
    Matrix overlay = {};
    /// [m] colours of the overlay.
    std::vector<Color> overlay_colors = {};
    FigureOptions figure = {};
};

/// Scatter plot of `points` [n, >= dims]. Errors: see find_visible(), Page::save().
Drawn draw_scatter(const std::filesystem::path& path, const Eigen::Ref<const Matrix>& points,
                   const Coloring& coloring, const ScatterOptions& options = {});

}  // namespace tomograph
