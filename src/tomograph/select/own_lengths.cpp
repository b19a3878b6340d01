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
        // Never longer than one: what stands for a vector far below the others' mean may be longer than it
        // is.
        const double mean =
            normalize == Normalize::layernorm ? static_cast<double>(vector.cast<double>().mean()) : 0;
        vector -= static_cast<float>(mean);
        const double own = norm * norm - static_cast<double>(width) * mean * mean;
        const double held = vector.cast<double>().square().sum();
        double scale = std::sqrt(std::max(own, held));
        if (normalize == Normalize::layernorm) scale /= std::sqrt(static_cast<double>(width));
        if (scale > 0) vector /= static_cast<float>(scale);
    }
}

}  // namespace tomograph
