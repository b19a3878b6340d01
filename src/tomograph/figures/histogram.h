#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tomograph/figures/layout.h"

namespace tomograph {

/// Values to count.
struct HistogramSample {
    std::string name = {};
    std::vector<float> values = {};
    /// None: category_color() by the sample's place.
    std::optional<Color> color = std::nullopt;
};

struct HistogramOptions {
    std::string x_label = {};
    std::string y_label = "count";
    /// Bins of equal width from the smallest value to the largest (equal ratio if `log_x`). Default 150.
    int bins = 150;
    bool log_x = false;
    /// Logarithmic counts, starting at one half: a single value is still seen.
    bool log_y = false;
    /// Shares of each sample in place of counts, so that samples of different sizes compare. Ignored if
    /// `log_y`.
    bool share = false;
    FigureOptions figure = {};
};

/// How many finite values (positive ones on a logarithmic scale) lie in each of `bins` bins of the scale; the
/// last bin holds the scale's high end. Values outside the scale are not counted.
std::vector<std::int64_t> count_bins(const std::vector<float>& values, const Scale& scale, int bins);

/// Histogram of one or several samples, filled and outlined. Errors: Error when nothing can be drawn or bins
/// < 1; Page::save()'s.
Drawn draw_histogram(const std::filesystem::path& path, const std::vector<HistogramSample>& samples,
                     const HistogramOptions& options = {});

}  // namespace tomograph
