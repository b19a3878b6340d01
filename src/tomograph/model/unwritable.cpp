#include "tomograph/model/unwritable.h"

#include <algorithm>
#include <set>

namespace tomograph {

std::string unwritable(const std::vector<GraphNode>& nodes, const std::vector<SiteNode>& sites,
                       const SiteNode& site) {
    // The batch's own vectors are written before the model sees them.
    if (site.node < 0) return "";
    const auto at = [&](int index) -> const GraphNode& { return nodes[static_cast<std::size_t>(index)]; };
    std::set<int> shown;  // what the site's node is a view of, down to the node whose memory it is
    int owner = site.node;
    while (at(owner).op == GraphNode::Op::view) {
        const GraphNode::Source& source = at(owner).sources.front();
        if (source.node < 0) return "it is a view of '" + source.leaf + "', which the model does not compute";
        owner = source.node;
        shown.insert(owner);
    }
    for (std::size_t i = 0; !shown.empty() && i < sites.size(); ++i) {
        if (shown.contains(sites[i].node)) return "it shares its memory with " + sites[i].site.name();
    }
    std::set<int> same_memory{owner};
    for (int i = owner + 1; i < site.node; ++i) {
        const bool reads = std::any_of(at(i).sources.begin(), at(i).sources.end(),
                                       [&](const auto& source) { return same_memory.contains(source.node); });
        if (!reads) continue;
        if (at(i).op != GraphNode::Op::view) return "'" + at(i).name + "' has read it before";
        same_memory.insert(i);
    }
    return "";
}

}  // namespace tomograph
