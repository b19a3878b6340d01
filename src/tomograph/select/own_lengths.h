#pragma once
#include <cstdint>

#include "tomograph/linear/normalize.h"
#include "tomograph/store/run.h"

namespace tomograph {

/// Normalise stored rows [begin, end) of a site, `rows` [end - begin, width] in place. Where scores stand for
/// the vectors, by the vectors' own lengths, which the run has: what scores hold of a unit vector is then
/// what it has along their axes, and not more because the rest is missing. Errors: as Run::norms().
void normalize_stored(const Run& run, const Site& site, Normalize normalize, std::int64_t begin,
                      std::int64_t end, float* rows);

}  // namespace tomograph
