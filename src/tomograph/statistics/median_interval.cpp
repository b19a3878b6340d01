#include "tomograph/statistics/median_interval.h"

#include <algorithm>
#include <cmath>

namespace tomograph {

std::optional<Interval> median_interval(std::vector<double> values) {
    std::erase_if(values, [](double value) { return std::isnan(value); });
    const std::size_t n = values.size();
    if (n < 5) return std::nullopt;
    std::ranges::sort(values);
    // The most values below the median that are rarer than 2.5 %.
    double chance = std::pow(0.5, static_cast<double>(n)), sum = chance;
    std::size_t rank = 0;
    while (sum <= 0.025) {
        ++rank;
        chance *= static_cast<double>(n - rank + 1) / static_cast<double>(rank);
        sum += chance;
    }
    rank = std::max<std::size_t>(rank, 1);
    return Interval{values[rank - 1], values[n - rank]};
}

}  // namespace tomograph
