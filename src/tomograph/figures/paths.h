#pragma once
#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "tomograph/figures/cloud.h"

namespace tomograph {

struct PathsOptions {
    int dims = 2;  ///< 2 or 3
    std::array<std::string, 3> labels{"PC 1", "PC 2", "PC 3"};
    bool equal = false;
    ViewOptions view = {};
    /// About how many layers have their number written at the path; the first and last always. Default 8.
    int numbers = 8;
    FigureOptions figure = {};
};

/// How a stream moves through the layers: `points` [n, >= dims] coloured by `layer` [n], and a line through
/// the mean of each layer in ascending order, with layer numbers along it. Rows with layer < 0 or coordinates
/// that are not finite are dropped. Errors: see find_visible(), Page::save().
Drawn draw_paths(const std::filesystem::path& path, const Eigen::Ref<const Matrix>& points,
                 const std::vector<std::int32_t>& layer, const PathsOptions& options = {});

}  // namespace tomograph
