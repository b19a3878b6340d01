#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "tomograph/base/json.h"
#include "tomograph/neighbors/neighbors.h"
#include "tomograph/store/run.h"

namespace tomograph {

/// Neighbours kept in a run, for maps of the same rows with other settings and for whoever wants the graph:
/// neighbors/KEY.safetensors and KEY.json, KEY a hash of `how`.

/// `rows` [n]: which of the selection's rows were searched. `how`: all that the neighbours depend on. Errors:
/// Error when the disk is full or the folder cannot be written.
void save_neighbors(const Run& run, const Json& how, const std::vector<std::int64_t>& rows,
                    const Neighbors& neighbors);
/// Empty when the run has none made in this way, or a file that cannot be read: they are searched again then.
std::optional<Neighbors> load_neighbors(const Run& run, const Json& how);

}  // namespace tomograph
