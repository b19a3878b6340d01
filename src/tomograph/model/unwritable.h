#pragma once
#include <string>
#include <vector>

#include "tomograph/model/graph.h"

namespace tomograph {

/// Why a change of a site's value, made as soon as its node is computed, would not reach exactly what reads
/// the site; empty: it would. A node of its own can be written; one that only shows another's memory shares
/// it, and what has read that memory earlier has read the old value.
std::string unwritable(const std::vector<GraphNode>& nodes, const std::vector<SiteNode>& sites,
                       const SiteNode& site);

}  // namespace tomograph
