#include "tomograph/figures/view.h"

#include <Eigen/Geometry>
#include <algorithm>
#include <cmath>
#include <numbers>

#include "tomograph/figures/text.h"

namespace tomograph {
namespace {

using Eigen::Vector2d;
using Eigen::Vector3d;

/// A box seen in parallel projection: from a corner-to-corner cube [-1, 1]³ to the page.
class Cube {
  public:
    Cube(const ViewOptions& view, const Vector3d& half_sides) : half_(half_sides) {
        const double azimuth = view.azimuth * std::numbers::pi / 180.0;
        const double elevation = std::clamp(view.elevation, 0.0, 90.0) * std::numbers::pi / 180.0;
        eye_ = {std::cos(elevation) * std::cos(azimuth), std::cos(elevation) * std::sin(azimuth),
                std::sin(elevation)};
        right_ = {-std::sin(azimuth), std::cos(azimuth), 0.0};
        up_ = eye_.cross(right_);
    }

    /// Scale and move so that the cube fills the area; `stretch`: up to so much more in one direction than in
    /// the other.
    void fit(const Box& area, double stretch) {
        Vector2d low(1e9, 1e9), high(-1e9, -1e9);
        for (int corner = 0; corner < 8; ++corner) {
            const Vector2d at =
                flat({corner & 1 ? 1.0 : -1.0, corner & 2 ? 1.0 : -1.0, corner & 4 ? 1.0 : -1.0});
            low = low.cwiseMin(at), high = high.cwiseMax(at);
        }
        const Vector2d extent = high - low;
        const Vector2d filling(area.width() / extent.x(), area.height() / extent.y());
        scale_ = filling.cwiseMin(filling.minCoeff() * stretch);
        const Vector2d middle = 0.5 * (low + high);
        shift_ = Vector2d((area.left + area.right) / 2.0, (area.bottom + area.top) / 2.0) -
                 scale_.cwiseProduct(middle);
    }

    Point place(const Vector3d& at) const {
        const Vector2d on_page = scale_.cwiseProduct(flat(at)) + shift_;
        return {on_page.x(), on_page.y()};
    }
    /// -1 or 1: which end of an axis lies nearer to the eye.
    double front(int axis) const { return eye_[axis] >= 0.0 ? 1.0 : -1.0; }

    /// From data to page and depth.
    Eigen::Matrix<double, 3, 4> map_of(std::span<const Scale> scales) const {
        Eigen::Matrix<double, 3, 4> map;
        map.col(3) << shift_.x(), shift_.y(), 0.0;
        for (int axis = 0; axis < 3; ++axis) {
            const Scale& scale = scales[static_cast<std::size_t>(axis)];
            const double factor = 2.0 * half_[axis] / (scale.high - scale.low);
            const Vector3d direction(scale_.x() * right_[axis], scale_.y() * up_[axis], eye_[axis]);
            map.col(axis) = direction * factor;
            map.col(3) -= direction * (half_[axis] + scale.low * factor);
        }
        return map;
    }

  private:
    Vector2d flat(const Vector3d& at) const {
        const Vector3d scaled = at.cwiseProduct(half_);
        return {right_.dot(scaled), up_.dot(scaled)};
    }

    Vector3d half_, eye_, right_, up_;
    Vector2d scale_ = Vector2d::Ones();
    Vector2d shift_ = Vector2d::Zero();
};

double position(const Scale& scale, double value) {
    return 2.0 * scale.place(value) - 1.0;
}

void draw_walls(Page& page, const Cube& cube, std::span<const Scale> scales,
                const std::array<Ticks, 3>& ticks) {
    for (int wall = 0; wall < 3; ++wall) {
        const int a = (wall + 1) % 3, b = (wall + 2) % 3;
        const auto at = [&](double along_a, double along_b) {
            Vector3d point;
            point[wall] = -cube.front(wall);
            point[a] = along_a;
            point[b] = along_b;
            return cube.place(point);
        };
        page.polygon({at(-1, -1), at(1, -1), at(1, 1), at(-1, 1)}, 0xF7F7F7);
        for (const Tick& tick : ticks[static_cast<std::size_t>(a)].ticks) {
            const double x = position(scales[static_cast<std::size_t>(a)], tick.value);
            page.line(at(x, -1), at(x, 1), {0.4, 0xDDDDDD});
        }
        for (const Tick& tick : ticks[static_cast<std::size_t>(b)].ticks) {
            const double x = position(scales[static_cast<std::size_t>(b)], tick.value);
            page.line(at(-1, x), at(1, x), {0.4, 0xDDDDDD});
        }
    }
    for (int wall = 0; wall < 3; ++wall) {
        const int a = (wall + 1) % 3, b = (wall + 2) % 3;
        const auto at = [&](double along_a, double along_b) {
            Vector3d point;
            point[wall] = -cube.front(wall);
            point[a] = along_a;
            point[b] = along_b;
            return cube.place(point);
        };
        page.polyline({at(-1, -1), at(1, -1), at(1, 1), at(-1, 1), at(-1, -1)}, {0.5, 0xBBBBBB});
    }
}

/// Numbers and name along the edge of the cube on which the other two axes have these values.
void draw_edge(Page& page, const Cube& cube, int axis, Vector3d edge, const Scale& scale, const Ticks& ticks,
               const std::string& label, double longest) {
    edge[axis] = -1.0;
    const Point begin = cube.place(edge);
    edge[axis] = 1.0;
    const Point end = cube.place(edge);
    page.line(begin, end, {});
    const Point center = cube.place(Vector3d::Zero());
    const Vector2d along = Vector2d(end.x - begin.x, end.y - begin.y);
    if (along.norm() < 4.0) return;  // seen end-on
    Vector2d outward(-along.y(), along.x());
    outward.normalize();
    const Vector2d middle((begin.x + end.x) / 2.0, (begin.y + end.y) / 2.0);
    if (outward.dot(middle - Vector2d(center.x, center.y)) < 0.0) outward = -outward;

    double widest = 0.0;
    double free_from = -1e9;
    for (const Tick& tick : ticks.ticks) {
        edge[axis] = position(scale, tick.value);
        const Point at = cube.place(edge);
        page.line(at, {at.x + outward.x() * sizes::tick, at.y + outward.y() * sizes::tick}, {});
        const double width = text_width(tick.label, sizes::number);
        // Push the number's own box away from the edge: by half its width sideways, half its height upwards.
        const double away = sizes::tick + 2.0 + std::abs(outward.x()) * width / 2.0 +
                            std::abs(outward.y()) * sizes::number * 0.5;
        const Vector2d place = Vector2d(at.x, at.y) + outward * away;
        // Numbers on a foreshortened edge can come too close to each other.
        const double reached = (place - Vector2d(begin.x, begin.y)).dot(along.normalized());
        const double room =
            std::abs(along.normalized().x()) * width + std::abs(along.normalized().y()) * sizes::number;
        if (reached - room / 2.0 < free_from) continue;
        free_from = reached + room / 2.0 + 2.0;
        widest = std::max(widest, std::abs(outward.x()) * width + std::abs(outward.y()) * sizes::number);
        page.text(place.x(), place.y(), tick.label,
                  {.size = sizes::number, .color = ink::faint_text, .align = Align::center});
    }
    double angle = std::atan2(along.y(), along.x()) * 180.0 / std::numbers::pi;
    if (angle > 90.5) angle -= 180.0;
    if (angle < -89.5) angle += 180.0;
    const std::string name = shortened(readable(label) + power_note(ticks), sizes::label, longest);
    const Vector2d place = middle + outward * (sizes::tick + 4.0 + widest + sizes::label * 0.6);
    page.text(place.x(), place.y(), name, {.size = sizes::label, .align = Align::center, .rotate = angle});
}

}  // namespace

Camera::Placed Camera::place(const float* row) const {
    Placed placed{map(0, 3), map(1, 3), map(2, 3)};
    for (int i = 0; i < dims; ++i) {
        const auto value = static_cast<double>(row[i]);
        placed.x += map(0, i) * value;
        placed.y += map(1, i) * value;
        placed.depth += map(2, i) * value;
    }
    return placed;
}

Camera draw_space(Page& page, const Box& area, std::span<const Scale> scales, const SpaceOptions& options) {
    Camera camera;
    camera.dims = options.dims;
    if (options.dims == 2) {
        const Axes axes = draw_axes(page, area, {.label = options.labels[0], .scale = scales[0]},
                                    {.label = options.labels[1], .scale = scales[1]}, options.equal);
        camera.map(0, 0) = axes.box.width() / (axes.x.high - axes.x.low);
        camera.map(1, 1) = axes.box.height() / (axes.y.high - axes.y.low);
        camera.map(0, 3) = axes.box.left - axes.x.low * camera.map(0, 0);
        camera.map(1, 3) = axes.box.bottom - axes.y.low * camera.map(1, 1);
        return camera;
    }

    Vector3d half_sides(1.0, 1.0, 0.82);
    if (options.equal) {
        for (int axis = 0; axis < 3; ++axis)
            half_sides[axis] =
                scales[static_cast<std::size_t>(axis)].high - scales[static_cast<std::size_t>(axis)].low;
        // A side below a quarter of the longest could not be read; it is then drawn longer than it is.
        half_sides = (half_sides / half_sides.maxCoeff()).cwiseMax(0.25);
    }
    Cube cube(options.view, half_sides);
    const double number_room = sizes::tick + 4.0 + sizes::number;
    const double label_room = number_room + 4.0 + sizes::label * 1.3;
    cube.fit({area.left + label_room + 6.0, area.bottom + 0.8 * label_room, area.right - 0.5 * label_room,
              area.top - 2.0},
             options.equal ? 1.0 : 1.35);

    std::array<Ticks, 3> ticks;
    std::array<double, 3> lengths{};
    for (int axis = 0; axis < 3; ++axis) {
        Vector3d low = Vector3d::Zero(), high = Vector3d::Zero();
        low[axis] = -1.0, high[axis] = 1.0;
        const Point a = cube.place(low), b = cube.place(high);
        const auto i = static_cast<std::size_t>(axis);
        lengths[i] = std::hypot(a.x - b.x, a.y - b.y);
        ticks[i] = find_ticks(scales[i], std::clamp(static_cast<int>(lengths[i] / 20.0), 3, 6));
    }
    draw_walls(page, cube, scales, ticks);
    // A name is as long as its edge, but "PC 3 (11.1 %)" must have room on a short one too.
    const auto name_room = [&](std::size_t axis) { return std::max(lengths[axis], 62.0); };
    // The first two axes are named on the floor's edges nearest to the eye, the third on the leftmost upright
    // edge.
    draw_edge(page, cube, 0, {0.0, cube.front(1), -cube.front(2)}, scales[0], ticks[0], options.labels[0],
              name_room(0));
    draw_edge(page, cube, 1, {cube.front(0), 0.0, -cube.front(2)}, scales[1], ticks[1], options.labels[1],
              name_room(1));
    const Vector3d one(cube.front(0), -cube.front(1), 0.0), other(-cube.front(0), cube.front(1), 0.0);
    const Vector3d leftmost = cube.place(one).x < cube.place(other).x ? one : other;
    draw_edge(page, cube, 2, leftmost, scales[2], ticks[2], options.labels[2], name_room(2));
    camera.map = cube.map_of(scales);
    return camera;
}

}  // namespace tomograph
