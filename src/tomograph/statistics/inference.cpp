#include "tomograph/statistics/inference.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tomograph/base/threads.h"
#include "tomograph/statistics/distributions.h"

namespace tomograph {
namespace {

struct Spread {
    double n = 0, mean = 0, deviation = 0;
};

Spread spread_of(std::span<const double> values) {
    Spread spread;
    for (const double value : values) {
        if (std::isnan(value)) continue;
        spread.mean += value;
        ++spread.n;
    }
    if (spread.n == 0) return spread;
    spread.mean /= spread.n;
    for (const double value : values)
        if (!std::isnan(value)) spread.deviation += (value - spread.mean) * (value - spread.mean);
    spread.deviation = spread.n > 1 ? std::sqrt(spread.deviation / (spread.n - 1)) : 0;
    return spread;
}

Interval around(double middle, double error, double freedom) {
    const double reach = student_t_quantile(0.975, freedom) * error;
    return {middle - reach, middle + reach};
}

/// p in ascending order without the NaN: indices into it.
std::vector<std::size_t> ascending(std::span<const double> p) {
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < p.size(); ++i)
        if (!std::isnan(p[i])) order.push_back(i);
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return p[a] < p[b]; });
    return order;
}

}  // namespace

std::optional<Interval> t_interval(std::span<const double> values) {
    const Spread spread = spread_of(values);
    if (spread.n < 3) return std::nullopt;
    return around(spread.mean, spread.deviation / std::sqrt(spread.n), spread.n - 1);
}

Jackknife jackknife(double all, std::span<const double> left_out) {
    Jackknife result;
    result.value = all;
    const Spread spread = spread_of(left_out);
    const auto n = static_cast<double>(left_out.size());
    if (std::isnan(all) || spread.n < n || n < 2) return result;
    result.corrected = n * all - (n - 1) * spread.mean;
    // (n - 1) / n times the sum of squares.
    result.error = spread.deviation * (n - 1) / std::sqrt(n);
    if (n >= 3) result.interval = around(result.corrected, result.error, n - 1);
    return result;
}

Jackknife jackknife(int n_groups, const std::function<double(std::span<const double>)>& statistic,
                    int threads) {
    std::vector<double> left_out(static_cast<std::size_t>(std::max(0, n_groups)));
    parallel_for(n_groups, threads, [&](std::int64_t g) {
        std::vector<double> weights(left_out.size(), 1.0);
        weights[static_cast<std::size_t>(g)] = 0;
        left_out[static_cast<std::size_t>(g)] = statistic(weights);
    });
    return jackknife(statistic(std::vector<double>(left_out.size(), 1.0)), left_out);
}

namespace {

constexpr std::size_t kFewestForPairs = 8;

/// For a degenerate U statistic of second order, whose pairs have variance 1.
struct DegenerateMoments {
    double variance = 0;   // of the statistic
    double jackknife = 0;  // expectation of the jackknife's estimate of it
    double pairs = 0;      // expectation of the sum of squares of what pairs add, about their mean
};

DegenerateMoments degenerate_moments(double n) {
    const double all = n * (n - 1) / 2, apart = all - 2 * (n - 2) - 1;
    const auto square = [](double x) { return x * x; };
    // theta(i) = alpha (T - T_i), T the sum over pairs and T_i over those with i.
    const double alpha = 2 / ((n - 1) * (n - 2));
    const double spread = (n - 1) * square(1 - 2 / n) + (all - n + 1) * square(2 / n);
    // What a pair adds: a T + b (T_i + T_j) + e h_ij, less its mean over pairs, m T.
    const double a = 2 / (n - 1) - 4 / (n - 2) + 2 / (n - 3), b = 2 / (n - 2) - 2 / (n - 3), e = 2 / (n - 3);
    const double m = a + 4 * b / n + e / all;
    const double one = square(a + 2 * b + e - m) + 2 * (n - 2) * square(a + b - m) + apart * square(a - m);
    return {1 / all, (n - 1) * square(alpha) * spread, all * one};
}

}  // namespace

Jackknife jackknife(double all, std::span<const double> left_out, std::span<const double> pairs_out) {
    Jackknife result = jackknife(all, left_out);
    const std::size_t groups = left_out.size();
    if (!result.interval || groups < kFewestForPairs || pairs_out.size() != groups * (groups - 1) / 2)
        return result;
    const auto n = static_cast<double>(groups);
    std::vector<double> added;
    for (std::size_t i = 0; i < groups; ++i) {
        for (std::size_t j = i + 1; j < groups; ++j)
            added.push_back(n * all - (n - 1) * (left_out[i] + left_out[j]) +
                            (n - 2) * pairs_out[added.size()]);
    }
    const Spread spread = spread_of(added);
    if (spread.n < static_cast<double>(added.size())) return result;
    const DegenerateMoments degenerate = degenerate_moments(n);
    const double squares = spread.deviation * spread.deviation * (spread.n - 1);
    const double too_much = squares * (degenerate.jackknife - degenerate.variance) / degenerate.pairs;
    const double variance = result.error * result.error;
    result.error =
        std::sqrt(std::max(variance - too_much, variance * degenerate.variance / degenerate.jackknife));
    result.interval = around(result.corrected, result.error, n - 1);
    return result;
}

void leave_out_pairs(int n_groups, const std::function<void(std::span<const double>)>& each) {
    std::vector<double> weights(static_cast<std::size_t>(std::max(0, n_groups)), 1.0);
    for (std::size_t i = 0; i < weights.size(); ++i) {
        weights[i] = 0;
        for (std::size_t j = i + 1; j < weights.size(); ++j) {
            weights[j] = 0;
            each(weights);
            weights[j] = 1;
        }
        weights[i] = 1;
    }
}

std::vector<double> holm_adjusted(std::span<const double> p) {
    std::vector<double> adjusted(p.begin(), p.end());
    const auto order = ascending(p);
    double most = 0;
    for (std::size_t i = 0; i < order.size(); ++i) {
        most = std::max(most, std::min(1.0, static_cast<double>(order.size() - i) * p[order[i]]));
        adjusted[order[i]] = most;
    }
    return adjusted;
}

std::vector<double> benjamini_hochberg_adjusted(std::span<const double> p) {
    std::vector<double> adjusted(p.begin(), p.end());
    const auto order = ascending(p);
    double least = 1;
    for (std::size_t i = order.size(); i-- > 0;) {
        least = std::min(least, static_cast<double>(order.size()) / static_cast<double>(i + 1) * p[order[i]]);
        adjusted[order[i]] = least;
    }
    return adjusted;
}

const char* claim_name(Claim claim) {
    switch (claim) {
        case Claim::holds:
            return "holds";
        case Claim::as_untrained:
            return "holds, as in an untrained twin";
        case Claim::absent:
            return "absent";
        case Claim::undecided:
            break;
    }
    return "undecided";
}

Claim judge_claim(const Evidence& evidence, double level) {
    const double sign = evidence.larger ? 1 : -1;
    const auto least = [&]() -> std::optional<double> {
        if (!evidence.interval) return std::nullopt;
        return sign * (evidence.larger ? evidence.interval->lo : evidence.interval->hi);
    }();
    // An interval that is corrected for bias may lie beyond the effect itself, which is to clear the null as
    // well.
    const bool by_interval = least && std::min(*least, sign * evidence.effect) > sign * evidence.null;
    const bool by_chance = evidence.p && *evidence.p <= level;
    const bool beyond = (by_interval || (!evidence.interval && evidence.p)) && (by_chance || !evidence.p);
    if (beyond) {
        const double own = least ? *least : sign * evidence.effect;
        const auto as_far = [&](const std::vector<double>& values) {
            const Spread twins = spread_of(values);
            if (twins.n == 0) return false;
            double reach = 0;
            if (twins.n > 1)
                reach = student_t_quantile(0.975, twins.n - 1) * twins.deviation * std::sqrt(1 + 1 / twins.n);
            return !(own > sign * twins.mean + reach);
        };
        return std::ranges::any_of(evidence.twins, as_far) ? Claim::as_untrained : Claim::holds;
    }
    if (evidence.margin > 0 && evidence.interval &&
        evidence.interval->lo >= evidence.no_effect - evidence.margin &&
        evidence.interval->hi <= evidence.no_effect + evidence.margin)
        return Claim::absent;
    return Claim::undecided;
}

}  // namespace tomograph
