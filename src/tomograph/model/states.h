#pragma once
#include <vector>

#include "tomograph/model/graph.h"

namespace tomograph {

/// What recurrent mixers carry from token to token, where the graph stores it: the last copy into each
/// layer's cache of states, flat, as ggml lays it out. `nodes` are of a graph that read one sequence.
/// Convolutions' caches of their last inputs are none of it.
std::vector<SiteNode> find_states(const std::vector<GraphNode>& nodes);

}  // namespace tomograph
