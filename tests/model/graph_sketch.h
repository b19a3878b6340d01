#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "support/errors.h"
#include "tomograph/model/graph.h"

namespace tomograph::test {

using Op = GraphNode::Op;

inline constexpr std::int64_t kWidth = 8, kHeads = 2, kTokens = 4, kHidden = 20;

/// Writes graphs as llama.cpp would. Each function gives the index of the node that it adds.
class Graph {
  public:
    std::vector<GraphNode> nodes;

    static GraphNode::Source weight(const std::string& name) { return {-1, name, true}; }
    static GraphNode::Source input(const std::string& name) { return {-1, name, false}; }
    static GraphNode::Source at(int node) { return {node, "", false}; }

    int add_node(Op op, const std::string& name, std::vector<GraphNode::Source> sources,
                 std::array<std::int64_t, 4> shape = {kWidth, kTokens, 1, 1}) {
        nodes.push_back({op, name, std::move(sources), shape, true});
        return static_cast<int>(nodes.size()) - 1;
    }
    int tokens() {
        return add_node(Op::get_rows, "inp_embd", {weight("token_embd.weight"), input("inp_tokens")});
    }
    int positions() {
        return add_node(Op::get_rows, "node_1", {weight("position_embd.weight"), input("inp_pos")});
    }
    int add(int a, int b, const std::string& name) { return add_node(Op::add, name, {at(a), at(b)}); }
    /// A norm and the product with its weight.
    int norm(int of, const std::string& name) {
        const int bare = add_node(Op::norm, "norm", {at(of)});
        return add_node(Op::mul, name, {at(bare), weight("norm.weight")});
    }
    int product(int of, const std::string& name, std::int64_t width = kWidth) {
        return add_node(Op::mul_mat, name, {weight("w.weight"), at(of)}, {width, kTokens, 1, 1});
    }
    /// Fused attention over `of`, up to and without its output projection.
    int heads(int of, const std::string& suffix) {
        const int q = product(of, "Qcur" + suffix), k = product(of, "Kcur" + suffix),
                  v = product(of, "Vcur" + suffix);
        const int core = add_node(Op::attention, "fa" + suffix, {at(q), at(k), at(v)},
                                  {kWidth / kHeads, kHeads, kTokens, 1});
        return add_node(Op::view, "kqv_out" + suffix, {at(core)});
    }
    /// The same from a softmax, as without flash attention.
    int unfused_heads(int of, const std::string& suffix) {
        const int q = product(of, "Qcur" + suffix), k = product(of, "Kcur" + suffix),
                  v = product(of, "Vcur" + suffix);
        const int scores =
            add_node(Op::mul_mat, "kq" + suffix, {at(k), at(q)}, {kTokens, kTokens, kHeads, 1});
        const int soft =
            add_node(Op::soft_max, "kq_soft_max" + suffix, {at(scores)}, {kTokens, kTokens, kHeads, 1});
        const int mixed =
            add_node(Op::mul_mat, "kqv" + suffix, {at(v), at(soft)}, {kWidth / kHeads, kTokens, kHeads, 1});
        return add_node(Op::copy, "kqv_out" + suffix, {at(mixed)});
    }
    int attention(int of, const std::string& suffix) {
        return product(heads(of, suffix), "attn_out" + suffix);
    }
    int mlp(int of, const std::string& suffix) {
        const int up = product(of, "ffn_up" + suffix, kHidden);
        const int act = add_node(Op::other, "ffn_gelu" + suffix, {at(up)}, {kHidden, kTokens, 1, 1});
        return product(act, "ffn_out" + suffix);
    }
    int mixer(int of, const std::string& suffix) {
        const int state = add_node(Op::recurrent, "ssm" + suffix, {at(product(of, "ssm_in" + suffix))});
        return product(state, "ssm_out" + suffix);
    }
    int times(int of, float factor, const std::string& name) {
        GraphNode::Source scale = weight("scale.weight");
        scale.value = factor;
        return add_node(Op::mul, name, {at(of), scale});
    }
    int block_norm(int of, const std::string& name, int layer) {
        const int bare = add_node(Op::norm, "norm", {at(of)});
        return add_node(Op::mul, name, {at(bare), weight("blk." + std::to_string(layer) + ".norm.weight")});
    }
    int pre_norm_block(int stream, int layer) {
        const std::string suffix = "-" + std::to_string(layer);
        const int mid =
            add(attention(norm(stream, "attn_norm" + suffix), suffix), stream, "ffn_inp" + suffix);
        return add(mlp(norm(mid, "ffn_norm" + suffix), suffix), mid, "l_out" + suffix);
    }
    void end(int stream) { product(norm(stream, "result_norm"), "result_output", 100); }

    int named(const std::string& name) const {
        for (std::size_t i = 0; i < nodes.size(); ++i) {
            if (nodes[i].name == name) return static_cast<int>(i);
        }
        return -100;
    }
};

using Nodes = std::map<std::string, int>;

/// Site name to node index.
inline Nodes nodes_of(const std::vector<SiteNode>& sites) {
    Nodes found;
    for (const SiteNode& site : sites) found[site.site.name()] = site.node;
    return found;
}
inline Nodes find(const Graph& graph, int n_layers) {
    return nodes_of(find_sites(graph.nodes, kWidth, n_layers).sites);
}

/// Where each expected site's node is named as given; sites outside the list must not exist.
inline void expect_names(const Graph& graph, int n_layers, const std::map<std::string, std::string>& names) {
    Nodes expected;
    for (const auto& [site, node] : names) expected[site] = graph.named(node);
    EXPECT_EQ(find(graph, n_layers), expected);
}

/// "resid_mid = resid_pre + attn_out; …" of all layers.
inline std::string sums_of(const FoundSites& found) {
    std::string text;
    for (const SiteSum& sum : found.sums) {
        text += (text.empty() ? "" : "; ") + std::string(component_name(sum.sum.component)) + " = ";
        for (const SiteSum::Part& part : sum.parts)
            text +=
                (&part == &sum.parts.front() ? "" : " + ") + std::string(component_name(part.site.component));
    }
    return text;
}

inline std::string refusal(const Graph& graph, int n_layers) {
    return error_of([&] { find_sites(graph.nodes, kWidth, n_layers); });
}

inline Graph sequential(int n_layers) {
    Graph graph;
    int stream = graph.tokens();
    for (int layer = 0; layer < n_layers; ++layer) stream = graph.pre_norm_block(stream, layer);
    graph.end(stream);
    return graph;
}

}  // namespace tomograph::test
