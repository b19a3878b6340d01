#include "tomograph/statistics/conformal.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace tomograph {

std::vector<double> conformal_p(std::span<const double> ordinary, std::span<const double> scores) {
    std::vector<double> sorted;
    for (const double score : ordinary) {
        if (!std::isnan(score)) sorted.push_back(score);
    }
    std::sort(sorted.begin(), sorted.end());
    std::vector<double> p;
    p.reserve(scores.size());
    for (const double score : scores) {
        const auto above = std::isnan(score)
                               ? static_cast<std::ptrdiff_t>(sorted.size())
                               : sorted.end() - std::lower_bound(sorted.begin(), sorted.end(), score);
        p.push_back((1.0 + static_cast<double>(above)) / (1.0 + static_cast<double>(sorted.size())));
    }
    return p;
}

std::vector<std::size_t> benjamini_hochberg(std::span<const double> p, double q) {
    std::vector<std::size_t> order(p.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return p[a] < p[b]; });
    std::size_t rejected = 0;
    for (std::size_t i = 0; i < order.size(); ++i) {
        if (p[order[i]] <= q * static_cast<double>(i + 1) / static_cast<double>(order.size()))
            rejected = i + 1;
    }
    order.resize(rejected);
    return order;
}

}  // namespace tomograph
