#pragma once
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "tomograph/statistics/statistics.h"

namespace tomograph {

/// Mean of few independent values -+ Student's t for n - 1 degrees of freedom times its standard error: 95 %.
/// Nothing below 3 values. NaN are left out.
std::optional<Interval> t_interval(std::span<const double> values);

/// What leaving groups out one by one says of a statistic.
struct Jackknife {
    double value = kNoNumber;          ///< of all groups
    double corrected = kNoNumber;      ///< without the bias of order 1 / n_groups
    double error = kNoNumber;          ///< standard error
    std::optional<Interval> interval;  ///< corrected -+ t(n_groups - 1) * error, 95 %; nothing below 3 groups
};

/// `statistic(weights)` with weights [n_groups] of 0 and 1: for few groups (whole sequences), where
/// percentiles of a bootstrap are too narrow. Right for statistics that are smooth in the groups' means; not
/// for quantiles or nearest neighbours. Source: Tukey (1958); Efron & Tibshirani (1993), "An Introduction to
/// the Bootstrap", chapter 11.
Jackknife jackknife(int n_groups, const std::function<double(std::span<const double> weights)>& statistic,
                    int threads = 1);
/// From values that are there already: `all`, and each group left out.
Jackknife jackknife(double all, std::span<const double> left_out);
/// The same for statistics of pairs of groups (products between different sequences), whose spread leaving
/// groups out one by one counts twice where the pairs are all that varies: at no effect, or at the most there
/// can be. `pairs_out`: both groups of each pair left out, (0, 1), (0, 2), ... (n - 2, n - 1). What the pairs
/// add is taken out of the error, so that it is right for a degenerate U statistic;
/// for one that is linear in the groups nothing changes. Of fewer than 8 groups what pairs add is known too
/// badly: nothing is taken out. Source: Efron & Stein (1981), "The jackknife
/// estimate of variance".
Jackknife jackknife(double all, std::span<const double> left_out, std::span<const double> pairs_out);
/// Weights [n_groups] without each pair of groups, in that order, handed to `each`.
void leave_out_pairs(int n_groups, const std::function<void(std::span<const double> weights)>& each);

/// Adjusted p values, in the order of `p`: those at most alpha are rejected. Holm: the chance of any false
/// rejection is at most alpha, whatever depends on what. Benjamini-Hochberg: of what is rejected a share
/// alpha is expected to be false, if the tests are independent or positively dependent. NaN stay NaN and do
/// not count. Sources: Holm (1979), "A simple sequentially rejective multiple test procedure"; Benjamini &
/// Hochberg (1995).
std::vector<double> holm_adjusted(std::span<const double> p);
std::vector<double> benjamini_hochberg_adjusted(std::span<const double> p);

/// What may be said of an effect.
enum class Claim {
    holds,         ///< beyond its null and, where there are untrained twins, beyond them
    as_untrained,  ///< beyond its null, and no farther than in a model of the same shape that was never
                   ///< trained
    absent,        ///< so near to no effect that it does not matter: the interval lies inside the margin
    undecided,     ///< neither
};
const char* claim_name(Claim claim);

struct Evidence {
    double effect = 0;
    std::optional<Interval> interval;
    /// What is to be beaten: the strictest control's value.
    double null = 0;
    /// Chance under the null, corrected for the number of findings. Nothing: the interval alone decides.
    std::optional<double> p;
    /// The effect in untrained twins, by their kind; each kind is held against apart. Nothing: no such claim
    /// is made.
    std::vector<std::vector<double>> twins;
    /// Effects within `margin` of `no_effect` do not matter. 0: "absent" is never said.
    double no_effect = 0, margin = 0;
    /// Whether more than the null speaks for the finding, or less.
    bool larger = true;
};

/// Holds: the whole interval lies beyond the null, p <= level, and it lies beyond what one more twin of any
/// kind would show: of m twins their mean -+ t(m - 1) deviations * sqrt(1 + 1 / m) (one twin: the twin
/// itself). No interval: undecided, unless p says so.
Claim judge_claim(const Evidence& evidence, double level = 0.025);

}  // namespace tomograph
