#pragma once
#include <optional>

#include "tomograph/base/json.h"
#include "tomograph/statistics/statistics.h"

namespace tomograph {

/// [lo, hi]; null where there is none, and an end that is no number is null too.
Json interval_json(const std::optional<Interval>& interval);

}  // namespace tomograph
