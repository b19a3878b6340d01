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

/// Bytes that a run's neighbors/ may take: some forty maps of 100,000 rows.
constexpr std::uint64_t kept_neighbor_bytes = 512 << 20;

/// `rows` [n]: which of the selection's rows were searched. `how`: all that the neighbours depend on. Those
/// that were used longest ago are deleted until all take `most_bytes` at most; neighbours larger than that
/// are not kept. Errors: Error when the disk is full or the folder cannot be written; the run is as it was
/// then.
void save_neighbors(const Run& run, const Json& how, const std::vector<std::int64_t>& rows,
                    const Neighbors& neighbors, std::uint64_t most_bytes = kept_neighbor_bytes);
/// Empty when the run has none made in this way, or a file that cannot be read: they are searched again then.
/// Marks them as used now, where the folder can be written.
std::optional<Neighbors> load_neighbors(const Run& run, const Json& how);

}  // namespace tomograph
