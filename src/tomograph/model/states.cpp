#include "tomograph/model/states.h"

#include <charconv>
#include <map>
#include <optional>
#include <string_view>

namespace tomograph {
namespace {

constexpr std::string_view kCache = "cache_s_l";  // llama.cpp's name of layer 0's is cache_s_l0

/// The layer whose cache of states a node shows.
std::optional<int> cache_layer(const std::vector<GraphNode>& nodes, int at) {
    while (at >= 0) {
        const GraphNode& node = nodes[static_cast<std::size_t>(at)];
        if (node.op != GraphNode::Op::view || node.sources.empty()) return std::nullopt;
        const GraphNode::Source& source = node.sources[0];
        at = source.node;
        if (at >= 0 || !source.leaf.starts_with(kCache)) continue;
        // Views have names such as "cache_s_l0 (reshaped)".
        const char* begin = source.leaf.data() + kCache.size();
        int layer = -1;
        const auto [end, error] = std::from_chars(begin, source.leaf.data() + source.leaf.size(), layer);
        if (error == std::errc{} && end != begin) return layer;
    }
    return std::nullopt;
}

}  // namespace

std::vector<SiteNode> find_states(const std::vector<GraphNode>& nodes) {
    std::map<int, SiteNode> by_layer;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        const GraphNode& node = nodes[i];
        if (node.kind != "CPY" || node.sources.size() < 2) continue;
        const auto layer = cache_layer(nodes, node.sources[1].node);
        std::int64_t values = 1;
        for (const std::int64_t extent : node.shape) values *= extent;
        // Before it, states of other sequences are moved, if there are any.
        if (layer && values > 0)
            by_layer[*layer] = {Site{Component::state, *layer}, static_cast<int>(i), {values}};
    }
    std::vector<SiteNode> found;
    for (auto& [layer, state] : by_layer) found.push_back(std::move(state));
    return found;
}

}  // namespace tomograph
