#pragma once
#include <string>

#include "tomograph/serve/place.h"

namespace tomograph {

/// A token's vectors of one component at every layer that the run keeps, laid on a map, whether the map has
/// them or not: {"component", "token", "layers", "points": [[axis 0, axis 1, ...], ...], "norms", "notes"},
/// in order of the layers' numbers on the map. `key` tells one map from another (Placer). Errors: Error when
/// there is no such token, the run keeps none of its vectors of the component, or they are of another width
/// than the map's; as Placer::lay_out().
Json way_json(const Run& run, const Projection& map, Placer& placer, const std::string& key,
              std::int32_t token, Component component);

}  // namespace tomograph
