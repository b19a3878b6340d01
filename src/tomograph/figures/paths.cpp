#include "tomograph/figures/paths.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numbers>

#include "tomograph/base/error.h"
#include "tomograph/figures/text.h"

namespace tomograph {
namespace {

struct Station {
    std::int32_t layer = 0;
    Point at;
};

/// The mean of each layer's visible rows, in ascending order of layers, on the page.
std::vector<Station> find_stations(const Eigen::Ref<const Matrix>& points,
                                   const std::vector<std::int32_t>& layer, const VisibleRows& visible,
                                   const Camera& camera) {
    struct Sum {
        Eigen::RowVectorXd total;
        double count = 0.0;
    };
    std::map<std::int32_t, Sum> sums;
    for (const std::int64_t row : visible.rows) {
        Sum& sum = sums[layer[static_cast<std::size_t>(row)]];
        if (sum.count == 0.0) sum.total = Eigen::RowVectorXd::Zero(camera.dims);
        sum.total += points.row(row).head(camera.dims).cast<double>();
        sum.count += 1.0;
    }
    std::vector<Station> stations;
    for (const auto& [number, sum] : sums) {
        const Eigen::RowVectorXf mean = (sum.total / sum.count).cast<float>();
        const auto placed = camera.place(mean.data());
        stations.push_back({number, {placed.x, placed.y}});
    }
    return stations;
}

/// Writes layer numbers beside the path where they cover neither it nor each other; a number without a free
/// place is left out, except the first and the last.
void number_stations(Page& page, const std::vector<Station>& stations, int numbers) {
    std::vector<std::size_t> chosen;
    const std::size_t last = stations.size() - 1;
    const double stride = std::max(1.0, static_cast<double>(last) / std::max(1, numbers - 1));
    // The ends first: they have the first choice of place.
    chosen.push_back(0);
    if (last > 0) chosen.push_back(last);
    for (double i = stride; i < static_cast<double>(last) - 0.5 * stride; i += stride) {
        chosen.push_back(static_cast<std::size_t>(std::lround(i)));
    }
    std::vector<Box> taken;
    for (std::size_t order = 0; order < chosen.size(); ++order) {
        const Station& station = stations[chosen[order]];
        const std::string text = std::to_string(station.layer);
        const double half_width = text_width(text, sizes::number, true) / 2.0 + 0.8;
        const double half_height = sizes::number * 0.5;
        double best_cost = std::numeric_limits<double>::infinity();
        Box best;
        for (int direction = 0; direction < 16; ++direction) {
            const double angle = direction * std::numbers::pi / 8.0;
            const Point center{station.at.x + std::cos(angle) * (half_width + 4.0),
                               station.at.y + std::sin(angle) * (half_height + 4.0)};
            const Box box{center.x - half_width, center.y - half_height, center.x + half_width,
                          center.y + half_height};
            double cost = direction * 1e-3;
            for (const Box& other : taken) {
                const bool apart = box.right < other.left || other.right < box.left ||
                                   box.top < other.bottom || other.top < box.bottom;
                if (!apart) cost += 10.0;
            }
            if (box.left < 0.0 || box.bottom < 0.0 || box.right > page.width() || box.top > page.height())
                cost += 10.0;
            // The path within the number's box: look at places along each stretch.
            for (std::size_t i = 0; i + 1 < stations.size(); ++i) {
                for (int part = 0; part <= 8; ++part) {
                    const double t = part / 8.0;
                    const double x = stations[i].at.x + t * (stations[i + 1].at.x - stations[i].at.x);
                    const double y = stations[i].at.y + t * (stations[i + 1].at.y - stations[i].at.y);
                    if (x > box.left - 1.5 && x < box.right + 1.5 && y > box.bottom - 1.5 &&
                        y < box.top + 1.5)
                        cost += 0.5;
                }
            }
            if (cost < best_cost) best_cost = cost, best = box;
        }
        if (order > 1 && best_cost > 2.0) continue;
        taken.push_back(best);
        page.text((best.left + best.right) / 2.0, (best.bottom + best.top) / 2.0, text,
                  {.size = sizes::number, .align = Align::center, .bold = true, .halo = true});
    }
}

}  // namespace

Drawn draw_paths(const std::filesystem::path& path, const Eigen::Ref<const Matrix>& points,
                 const std::vector<std::int32_t>& layer, const PathsOptions& options) {
    figure_format(path);
    if (options.dims != 2 && options.dims != 3)
        throw Error("cannot draw paths", "they have 2 or 3 dimensions", "");
    Values by_layer{.label = "layer", .whole = true};
    for (const std::int32_t number : layer) {
        by_layer.of_point.push_back(number >= 0 ? static_cast<float>(number)
                                                : std::numeric_limits<float>::quiet_NaN());
    }
    const VisibleRows visible = find_visible(points, options.dims, by_layer);

    std::vector<Scale> scales;
    for (int axis = 0; axis < options.dims; ++axis) {
        ScaleFinder finder;
        for (const std::int64_t row : visible.rows) finder.add(static_cast<double>(points(row, axis)));
        scales.push_back(finder.scale(0.04));
    }
    Box area;
    Page page = make_page(options.figure, options.dims == 3 ? 3.0 : 2.7, area);
    draw_title(page, area, options.figure.title);
    const ColorBar bar = color_bar_of(by_layer);
    area.right -= bar.width();
    const Camera camera =
        draw_space(page, area, scales, {options.dims, options.labels, options.equal, options.view});
    PointLook look =
        look_of_cloud(static_cast<std::int64_t>(visible.rows.size()), std::min(area.width(), area.height()));
    // The cloud is the background of this figure.
    look.alpha *= 0.6;
    page.discs(make_discs(points, visible, camera, look, options.figure.seed));

    const std::vector<Station> stations = find_stations(points, layer, visible, camera);
    std::vector<Point> line;
    for (const Station& station : stations) line.push_back(station.at);
    page.polyline(line, {2.2, ink::paper});
    page.polyline(line, {0.9, 0x444444});
    for (const Station& station : stations) {
        page.disc(station.at, 2.5, ink::paper);
        page.disc(station.at, 2.1, 0x333333);
        page.disc(station.at, 1.6, bar.color(station.layer));
    }
    number_stations(page, stations, options.numbers);
    const double inset = options.dims == 3 ? 0.14 * area.height() : 0.0;
    bar.draw(page, area.right, area.bottom + std::max(inset, 20.0),
             area.top - std::max(inset, sizes::number * 0.5));
    page.save(path, options.figure.render);
    return {static_cast<std::int64_t>(visible.rows.size()), visible.n_dropped};
}

}  // namespace tomograph
