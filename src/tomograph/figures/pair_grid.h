#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "tomograph/figures/cloud.h"

namespace tomograph {

struct PairGridOptions {
    /// Columns of the points that are shown, from the first. Default 6, which makes 15 pairs; at most 12.
    int components = 6;
    /// One a component; empty: "PC 1" and so on.
    std::vector<std::string> names = {};
    /// Shares of variance explained, 0 to 1, written under the names; empty: none.
    std::vector<double> variance = {};
    /// A small chart of each component against the colour's value on the diagonal, besides its name. Default
    /// true.
    bool profiles = true;
    /// 4.4 inches wide, about as high.
    FigureOptions figure = {.width = 4.4};
};

/// Every pair of components of `points` [n, >= components] as a small scatter plot, in a lower triangle,
/// coloured by one value such as position, with one colour bar. Names stand on the diagonal, so the scatter
/// plot below one name and left of another shows those two. Errors: see find_visible(), Page::save().
Drawn draw_pair_grid(const std::filesystem::path& path, const Eigen::Ref<const Matrix>& points,
                     const Values& values, const PairGridOptions& options = {});

}  // namespace tomograph
