#pragma once
#include <cstdint>
#include <optional>
#include <span>

#include "tomograph/statistics/statistics.h"

namespace tomograph {

/// Spearman's rank correlation: Pearson's of the ranks, ties at their mean rank. `weights` [n] count entries
/// more than once or not at all; empty: each once. kNoNumber where either side is constant or fewer than 3
/// are left. Source: Spearman (1904), "The proof and measurement of association between two things".
double rank_correlation(std::span<const double> a, std::span<const double> b,
                        std::span<const double> weights = {});

/// 95 % of such a correlation of `n` pairs: tanh(atanh(rho) -+ 1.96 sqrt((1 + rho^2 / 2) / (n - 3))), where a
/// perfect order of few pairs counts as half a step less than 1. Of normal pairs it holds the true value in
/// 94 to 97 of 100 samples of 8 and more. Nothing below 5 pairs. Source: Bonett & Wright (2000), "Sample size
/// requirements for estimating Pearson, Kendall and Spearman correlations".
std::optional<Interval> rank_correlation_interval(double rho, std::int64_t n);

}  // namespace tomograph
