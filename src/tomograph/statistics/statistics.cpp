#include "tomograph/statistics/statistics.h"

#include <algorithm>
#include <cmath>

#include "tomograph/base/random.h"
#include "tomograph/base/threads.h"
#include "tomograph/statistics/distributions.h"

namespace tomograph {

double quantile(std::vector<double> values, double q) {
    std::erase_if(values, [](double v) { return std::isnan(v); });
    if (values.empty()) return kNoNumber;
    const double place = q * static_cast<double>(values.size() - 1);
    const auto below = static_cast<std::size_t>(place);
    const auto at = values.begin() + static_cast<std::ptrdiff_t>(below);
    std::nth_element(values.begin(), at, values.end());
    const double lower = *at, share = place - static_cast<double>(below);
    if (share <= 0) return lower;
    return lower + share * (*std::min_element(at + 1, values.end()) - lower);
}

double median(std::vector<double> values) {
    return quantile(std::move(values), 0.5);
}

std::vector<double> robust_z(std::span<const double> values, double floor) {
    const double middle = median({values.begin(), values.end()});
    std::vector<double> deviations;
    deviations.reserve(values.size());
    for (const double value : values) deviations.push_back(std::abs(value - middle));
    const double scale = 1.4826 * std::max(median(std::move(deviations)), floor);
    std::vector<double> z;
    z.reserve(values.size());
    for (const double value : values) z.push_back(scale > 0 ? (value - middle) / scale : 0);
    return z;
}

std::vector<double> bootstrap_weights(int n_groups, std::uint64_t seed, int replicate) {
    Rng rng(mix(seed, 0xb007, static_cast<std::uint64_t>(replicate)));
    std::vector<double> weights(static_cast<std::size_t>(n_groups), 0.0);
    for (int i = 0; i < n_groups; ++i) weights[rng.below(static_cast<std::uint64_t>(n_groups))] += 1;
    return weights;
}

double small_sample_reach(int n_groups) {
    if (n_groups < 2) return 1;
    const double n = n_groups;
    return std::sqrt(n / (n - 1)) * student_t_quantile(0.975, n - 1) / 1.959964;
}

Interval stretched_percentiles(double value, const std::vector<double>& replicates, int n_groups) {
    const double reach = small_sample_reach(n_groups);
    const double lo = quantile(replicates, 0.025), hi = quantile(replicates, 0.975);
    if (std::isnan(value)) return {lo, hi};
    // Replicates that lie to one side of the value reach it all the same.
    return {std::min(lo, value - reach * (value - lo)), std::max(hi, value + reach * (hi - value))};
}

std::optional<Interval> bootstrap(int n_groups, const BootstrapOptions& options,
                                  const std::function<double(std::span<const double>)>& statistic) {
    if (n_groups < kFewestGroups) return std::nullopt;
    std::vector<double> values(static_cast<std::size_t>(options.replicates));
    parallel_for(options.replicates, options.threads, [&](std::int64_t r) {
        values[static_cast<std::size_t>(r)] =
            statistic(bootstrap_weights(n_groups, options.seed, static_cast<int>(r)));
    });
    const auto numbers = std::count_if(values.begin(), values.end(), [](double v) { return !std::isnan(v); });
    if (2 * numbers < options.replicates) return std::nullopt;
    const Interval interval = stretched_percentiles(
        statistic(std::vector<double>(static_cast<std::size_t>(n_groups), 1.0)), values, n_groups);
    return Interval{std::max(options.least, interval.lo), std::min(options.most, interval.hi)};
}

std::optional<Interval> spread_interval(double effect, std::span<const double> replicates, int n_groups,
                                        double least, double most) {
    double sum = 0, squares = 0, n = 0;
    for (const double value : replicates) {
        if (std::isnan(value)) continue;
        sum += value;
        ++n;
    }
    if (n < 10) return std::nullopt;
    for (const double value : replicates) {
        if (!std::isnan(value)) squares += (value - sum / n) * (value - sum / n);
    }
    const double reach = 1.96 * small_sample_reach(n_groups) * std::sqrt(squares / (n - 1));
    return Interval{std::max(least, effect - reach), std::min(most, effect + reach)};
}

double auroc(std::span<const double> scores, std::span<const std::uint8_t> planted) {
    std::vector<std::size_t> order;  // NaN equals nothing, itself included
    for (std::size_t i = 0; i < scores.size(); ++i) {
        if (!std::isnan(scores[i])) order.push_back(i);
    }
    std::sort(order.begin(), order.end(), [&](auto a, auto b) { return scores[a] < scores[b]; });
    double rank_sum = 0, n_planted = 0;
    for (std::size_t begin = 0; begin < order.size();) {
        std::size_t end = begin;
        while (end < order.size() && scores[order[end]] == scores[order[begin]]) ++end;
        const double rank = 0.5 * static_cast<double>(begin + 1 + end);  // mean rank of the tied, from 1
        for (std::size_t i = begin; i < end; ++i) {
            if (planted[order[i]] == 0) continue;
            rank_sum += rank;
            ++n_planted;
        }
        begin = end;
    }
    const double n_others = static_cast<double>(order.size()) - n_planted;
    if (n_planted == 0 || n_others == 0) return kNoNumber;
    return (rank_sum - n_planted * (n_planted + 1) / 2) / (n_planted * n_others);
}

}  // namespace tomograph
