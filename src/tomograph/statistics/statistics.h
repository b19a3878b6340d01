#pragma once
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <vector>

namespace tomograph {

/// What stands where a number cannot be had; written as null in JSON.
inline constexpr double kNoNumber = std::numeric_limits<double>::quiet_NaN();

/// Ends of a 95 % interval.
struct Interval {
    double lo = 0;
    double hi = 0;
};

/// Linear interpolation between order statistics, as numpy.quantile. kNoNumber of nothing; NaN are left out.
double quantile(std::vector<double> values, double q);
double median(std::vector<double> values);

/// Robust z of each value: (x - median) / (1.4826 MAD), which is the ordinary z where values are normal. The
/// MAD counts as at least `floor`, so that rounding noise between equal values is no deviation.
std::vector<double> robust_z(std::span<const double> values, double floor);

struct BootstrapOptions {
    /// Replicates. More make the interval's ends steadier. Default 200.
    int replicates = 200;
    std::uint64_t seed = 42;
    int threads = 1;
    /// What the statistic can be: the interval ends there, however far it was stretched.
    double least = -std::numeric_limits<double>::infinity(), most = std::numeric_limits<double>::infinity();
};

/// How often each of `n_groups` is drawn in one replicate: n_groups draws with replacement. The same for
/// every measure of a run, so that intervals are comparable.
std::vector<double> bootstrap_weights(int n_groups, std::uint64_t seed, int replicate);

/// Fewest groups that give an interval: below it the percentiles of so few combinations mean little.
inline constexpr int kFewestGroups = 5;

/// How many times as far as a bootstrap's percentiles an interval of so few groups must reach: replicates of
/// n groups spread by sqrt((n - 1) / n) too little, and Student's t with n - 1 degrees of freedom reaches
/// farther than the normal distribution. 1.58 of 5 groups, 1.06 of 32. Source: Hesterberg (2015), "What
/// teachers should know about the bootstrap", section 5.
double small_sample_reach(int n_groups);
/// 2.5 % and 97.5 % of the replicates, as much farther from the value.
Interval stretched_percentiles(double value, const std::vector<double>& replicates, int n_groups);

/// Bootstrap over groups (whole sequences): stretched_percentiles() of `statistic(weights)`. Replicates
/// for which it is NaN are left out. Nothing below kFewestGroups or when under half of the replicates are
/// numbers. Source: Efron & Tibshirani (1993), "An Introduction to the Bootstrap", chapters 8 and 13.
std::optional<Interval> bootstrap(int n_groups, const BootstrapOptions& options,
                                  const std::function<double(std::span<const double> weights)>& statistic);

/// Around `effect`, from the spread of replicates: effect -+ 1.96 standard deviations times
/// small_sample_reach(). For statistics that
/// noise shifts one way (angles between fitted subspaces, the fit to a curve of means), whose replicates are
/// noisier than the original, so that only their scatter counts. Kept within [least, most]. Nothing below 10
/// replicates.
std::optional<Interval> spread_interval(double effect, std::span<const double> replicates, int n_groups,
                                        double least, double most);

/// Area under the ROC curve of scores for planted (true) against other rows; ties count half. NaN scores
/// are left out.
double auroc(std::span<const double> scores, std::span<const std::uint8_t> planted);

}  // namespace tomograph
