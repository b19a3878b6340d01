#pragma once
// What an untrained twin shows, measured or kept. For use inside findings/ only.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tomograph/store/run.h"

namespace tomograph {

struct MeasuredTwin {
    std::string kind;  ///< as its run.json says: "gaussian", "spectrum"
    std::string path;
    std::vector<std::optional<double>> values;  ///< by place in finding_kinds(); none: it was not measured
    std::int64_t n_sequences = 0;
    std::int64_t rows = 0;        ///< that each site's numbers are of
    std::int64_t rows_asked = 0;  ///< at most
    std::uint64_t seed = 0;       ///< by which they were drawn
};

/// Of nothing measured yet.
MeasuredTwin begin_twin(const Run& twin);
/// Writes TWIN/measures/effects.json.
void save_effects(const Run& twin, const MeasuredTwin& measured);
/// What save_effects() wrote; findings that are unknown here are left out. None where there is no such file.
/// Errors: Error when it is not one.
std::optional<MeasuredTwin> load_effects(const Run& twin);

}  // namespace tomograph
