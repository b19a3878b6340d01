#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "tomograph/select/row_labels.h"
#include "tomograph/store/run.h"

namespace tomograph {

/// Has the run the vectors of any mixture's router?
bool keeps_routers(const Run& run);

/// The expert that a router prefers, before any bias of the choice: the one with the largest gate, of equal
/// ones the first.
std::int32_t preferred_expert(std::span<const float> gates);

/// The expert that its layer's router prefers for each row's token, [rows]; -1 for averages, outside blocks,
/// and where the run keeps no router's vectors. Empty: it keeps none.
std::vector<std::int32_t> preferred_experts(const Run& run, const RowLabels& rows);

}  // namespace tomograph
