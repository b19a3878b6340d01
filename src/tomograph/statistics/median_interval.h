#pragma once
#include <optional>
#include <vector>

#include "tomograph/statistics/statistics.h"

namespace tomograph {

/// 95 % interval of the median of independent values: the order statistics that the binomial distribution
/// names, whatever the values' own distribution. Of 5 values all of their range (94 %); nothing below. NaN are
/// left out.
std::optional<Interval> median_interval(std::vector<double> values);

}  // namespace tomograph
