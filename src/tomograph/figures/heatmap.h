#pragma once
#include <filesystem>
#include <string>

#include "tomograph/base/matrix.h"
#include "tomograph/figures/layout.h"

namespace tomograph {

struct HeatmapOptions {
    std::string x_label = {}, y_label = {};
    /// What the colours mean.
    std::string value_label = {};
    /// Value of the first column and row on the axes; the next ones count up by one.
    double first_x = 0.0, first_y = 0.0;
    /// The colours' range; low >= high: from the smallest to the largest value.
    double low = 0.0, high = 0.0;
    ColorMap map = ColorMap::sequential;
    FigureOptions figure = {};
};

/// A matrix as coloured squares, row 0 at the bottom. Values that are not finite are left blank and counted
/// as dropped. Errors: Error when no value is finite; Page::save()'s.
Drawn draw_heatmap(const std::filesystem::path& path, const MatrixD& values,
                   const HeatmapOptions& options = {});

}  // namespace tomograph
