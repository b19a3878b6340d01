#include "tomograph/select/own_lengths.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "tomograph/base/matrix.h"

namespace tomograph {

void normalize_stored(const Run& run, const Site& site, Normalize normalize, std::int64_t begin,
                      std::int64_t end, float* rows) {
    if (normalize == Normalize::none || begin == end) return;
    const std::int64_t width = run.site(site).width();
    if (run.rank(site) == 0) {
        normalize_rows(normalize, rows, end - begin, width);
        return;
    }
    const auto token = [&](std::int64_t row) { return run.rows()[static_cast<std::size_t>(row)]; };
    const std::int64_t first = token(begin);
    const std::vector<float> norms = run.norms(site, first, token(end - 1) + 1);
    for (std::int64_t row = begin; row < end; ++row) {
        Eigen::Map<Eigen::ArrayXf> vector(rows + (row - begin) * width, width);
        const double norm = norms[static_cast<std::size_t>(token(row) - first)];
        double scale = norm;
        if (normalize == Normalize::layernorm) {
            const double mean = vector.cast<double>().mean();
            const double variance = norm * norm / static_cast<double>(width) - mean * mean;
            // Where nearly all of the length is the mean, rounding may leave less than nothing.
            const double held = (vector.cast<double>() - mean).square().mean();
            vector -= static_cast<float>(mean);
            scale = std::sqrt(std::max(variance, held));
        }
        if (scale > 0) vector /= static_cast<float>(scale);
    }
}

}  // namespace tomograph
