#pragma once
#include <span>

#include "tomograph/statistics/statistics.h"

namespace tomograph {

/// Spearman's rank correlation: Pearson's of the ranks, ties at their mean rank. `weights` [n] count entries
/// more than once or not at all; empty: each once. kNoNumber where either side is constant or fewer than 3
/// are left. Source: Spearman (1904), "The proof and measurement of association between two things".
double rank_correlation(std::span<const double> a, std::span<const double> b,
                        std::span<const double> weights = {});

}  // namespace tomograph
