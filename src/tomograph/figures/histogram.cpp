#include "tomograph/figures/histogram.h"

#include <algorithm>
#include <cmath>

#include "tomograph/base/error.h"

namespace tomograph {

std::vector<std::int64_t> count_bins(const std::vector<float>& values, const Scale& scale, int bins) {
    std::vector<std::int64_t> counts(static_cast<std::size_t>(bins), 0);
    for (const float value : values) {
        const double place = scale.place(static_cast<double>(value));
        if (!(place >= -1e-9 && place <= 1.0 + 1e-9)) continue;
        const int bin = std::clamp(static_cast<int>(place * bins), 0, bins - 1);
        ++counts[static_cast<std::size_t>(bin)];
    }
    return counts;
}

Drawn draw_histogram(const std::filesystem::path& path, const std::vector<HistogramSample>& samples,
                     const HistogramOptions& options) {
    figure_format(path);
    if (options.bins < 1) throw Error("cannot draw a histogram", "it needs at least one bin", "");
    Drawn drawn;
    ScaleFinder finder(options.log_x);
    for (const HistogramSample& sample : samples) {
        for (const float value : sample.values) {
            ++(finder.add(static_cast<double>(value)) ? drawn.n_points : drawn.n_dropped);
        }
    }
    if (drawn.n_points == 0)
        throw Error("there is nothing to draw", "no sample has a value that the axis can show", "");
    const Scale bin_scale = finder.scale();

    const bool share = options.share && !options.log_y;
    std::vector<std::vector<double>> heights;
    double tallest = 0.0;
    for (const HistogramSample& sample : samples) {
        const std::vector<std::int64_t> counts = count_bins(sample.values, bin_scale, options.bins);
        double total = 0.0;
        for (const std::int64_t count : counts) total += static_cast<double>(count);
        heights.emplace_back();
        for (const std::int64_t count : counts) {
            heights.back().push_back(static_cast<double>(count) / (share ? std::max(total, 1.0) : 1.0));
            tallest = std::max(tallest, heights.back().back());
        }
    }

    Box area;
    Page page = make_page(options.figure, 2.3, area);
    draw_title(page, area, options.figure.title);
    const auto color_of = [&](std::size_t i) {
        return samples[i].color.value_or(category_color(static_cast<int>(i)));
    };
    if (samples.size() > 1) {
        std::vector<LegendEntry> legend;
        for (std::size_t i = 0; i < samples.size(); ++i) {
            legend.push_back({.name = samples[i].name, .color = color_of(i), .mark = Mark::patch});
        }
        draw_legend(page, area, legend);
    }
    Scale x_scale = bin_scale;
    if (!options.log_x) {
        const double margin = 0.01 * (x_scale.high - x_scale.low);
        x_scale.low -= margin, x_scale.high += margin;
    }
    const double foot = options.log_y ? 0.5 : 0.0;
    const Scale y_scale{foot, options.log_y ? std::max(tallest * 1.5, 2.0) : tallest * 1.05, options.log_y};
    const Axes axes =
        draw_axes(page, area, {.label = options.x_label, .scale = x_scale},
                  {.label = options.y_label, .scale = y_scale, .whole = !share && !options.log_y});
    // Edges of bins by their share of the scale, linear or not.
    const auto edge = [&](std::size_t bin) {
        const double t = static_cast<double>(bin) / options.bins;
        return bin_scale.log ? bin_scale.low * std::pow(bin_scale.high / bin_scale.low, t)
                             : bin_scale.low + t * (bin_scale.high - bin_scale.low);
    };
    std::vector<std::vector<Point>> outlines;
    for (const auto& sample : heights) {
        std::vector<Point> outline{axes.place(edge(0), foot)};
        for (std::size_t bin = 0; bin < sample.size(); ++bin) {
            const double height = std::max(sample[bin], foot);
            outline.push_back(axes.place(edge(bin), height));
            outline.push_back(axes.place(edge(bin + 1), height));
        }
        outline.push_back(axes.place(edge(sample.size()), foot));
        outlines.push_back(std::move(outline));
    }
    for (std::size_t i = 0; i < outlines.size(); ++i)
        page.polygon(outlines[i], color_of(i), samples.size() > 1 ? 0.25 : 0.45);
    for (std::size_t i = 0; i < outlines.size(); ++i) page.polyline(outlines[i], {0.6, color_of(i)});
    page.save(path, options.figure.render);
    return drawn;
}

}  // namespace tomograph
