#include "tomograph/statistics/interval_json.h"

#include <cmath>

namespace tomograph {

Json interval_json(const std::optional<Interval>& interval) {
    const auto end = [](double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); };
    return interval ? Json{end(interval->lo), end(interval->hi)} : Json(nullptr);
}

}  // namespace tomograph
