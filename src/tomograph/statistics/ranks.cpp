#include "tomograph/statistics/ranks.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace tomograph {
namespace {

/// Ranks under weights: the weight below, and half of the weight at the same value.
std::vector<double> ranks(std::span<const double> values, const std::vector<double>& weights) {
    std::vector<std::size_t> order(values.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
    std::vector<double> rank(values.size());
    double below = 0;
    for (std::size_t i = 0; i < order.size();) {
        std::size_t end = i;
        double here = 0;
        while (end < order.size() && values[order[end]] == values[order[i]]) here += weights[order[end++]];
        for (; i < end; ++i) rank[order[i]] = below + here / 2;
        below += here;
    }
    return rank;
}

}  // namespace

double rank_correlation(std::span<const double> a, std::span<const double> b,
                        std::span<const double> weights) {
    std::vector<double> weight(a.size(), 1.0);
    if (!weights.empty()) weight.assign(weights.begin(), weights.end());
    std::size_t n_there = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (!std::isfinite(a[i]) || !std::isfinite(b[i])) weight[i] = 0;
        n_there += weight[i] > 0 ? 1 : 0;
    }
    if (n_there < 3) return kNoNumber;
    std::vector<double> x(a.begin(), a.end()), y(b.begin(), b.end());
    for (std::size_t i = 0; i < x.size(); ++i) {
        if (weight[i] == 0) x[i] = y[i] = 0;  // NaN have no order
    }
    const std::vector<double> of_a = ranks(x, weight), of_b = ranks(y, weight);
    double total = 0, mean_a = 0, mean_b = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
        total += weight[i];
        mean_a += weight[i] * of_a[i];
        mean_b += weight[i] * of_b[i];
    }
    mean_a /= total;
    mean_b /= total;
    double ab = 0, aa = 0, bb = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
        ab += weight[i] * (of_a[i] - mean_a) * (of_b[i] - mean_b);
        aa += weight[i] * (of_a[i] - mean_a) * (of_a[i] - mean_a);
        bb += weight[i] * (of_b[i] - mean_b) * (of_b[i] - mean_b);
    }
    return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : kNoNumber;
}

std::optional<Interval> rank_correlation_interval(double rho, std::int64_t n) {
    if (n < 5 || std::isnan(rho)) return std::nullopt;
    const auto pairs = static_cast<double>(n);
    const double most = 1 - 6 / (pairs * pairs * pairs - pairs);
    const double middle = std::atanh(std::clamp(rho, -most, most));
    const double reach = 1.959964 * std::sqrt((1 + rho * rho / 2) / (pairs - 3));
    return Interval{std::min(rho, std::tanh(middle - reach)), std::max(rho, std::tanh(middle + reach))};
}

}  // namespace tomograph
