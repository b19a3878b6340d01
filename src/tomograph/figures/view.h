#pragma once
#include <array>
#include <span>
#include <string>

#include "tomograph/base/matrix.h"
#include "tomograph/figures/layout.h"

namespace tomograph {

/// Where a three-dimensional box is looked at from.
struct ViewOptions {
    double azimuth = -60.0;   ///< degrees around the third axis, counter-clockwise from the first
    double elevation = 22.0;  ///< degrees above the plane of the first two; clamped to 0 to 90
};

/// Puts rows of 2 or 3 coordinates onto the page, in parallel projection. Larger depth is nearer to the eye
/// (0 in two dimensions).
struct Camera {
    struct Placed {
        double x = 0.0, y = 0.0, depth = 0.0;
    };
    int dims = 2;
    Eigen::Matrix<double, 3, 4> map = Eigen::Matrix<double, 3, 4>::Zero();  ///< (x, y, depth) from (row, 1)

    Placed place(const float* row) const;
};

struct SpaceOptions {
    int dims = 2;
    std::array<std::string, 3> labels = {};
    /// A unit has one length on all axes.
    bool equal = false;
    ViewOptions view = {};
};

/// Draws axes for `dims` coordinates with these scales (linear ones) in the area: plain axes in two
/// dimensions, three walls with grids in three, and says where points go. All of it is vector lines on the
/// page, so a cloud of points can be an image in three dimensions too, and is drawn from far to near.
Camera draw_space(Page& page, const Box& area, std::span<const Scale> scales, const SpaceOptions& options);

}  // namespace tomograph
