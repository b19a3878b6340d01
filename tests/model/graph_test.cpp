#include "tomograph/model/graph.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "support/errors.h"

namespace tomograph {
namespace {

using Op = GraphNode::Op;
using test::error_of;

constexpr std::int64_t kWidth = 8, kHeads = 2, kTokens = 4, kHidden = 20;

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
Nodes nodes_of(const std::vector<SiteNode>& sites) {
    Nodes found;
    for (const SiteNode& site : sites) found[site.site.name()] = site.node;
    return found;
}
Nodes find(const Graph& graph, int n_layers) {
    return nodes_of(find_sites(graph.nodes, kWidth, n_layers).sites);
}

/// Where each expected site's node is named as given; sites outside the list must not exist.
void expect_names(const Graph& graph, int n_layers, const std::map<std::string, std::string>& names) {
    Nodes expected;
    for (const auto& [site, node] : names) expected[site] = graph.named(node);
    EXPECT_EQ(find(graph, n_layers), expected);
}

/// "resid_mid = resid_pre + attn_out; …" of all layers.
std::string sums_of(const FoundSites& found) {
    std::string text;
    for (const SiteSum& sum : found.sums) {
        text += (text.empty() ? "" : "; ") + std::string(component_name(sum.sum.component)) + " = ";
        for (const SiteSum::Part& part : sum.parts)
            text +=
                (&part == &sum.parts.front() ? "" : " + ") + std::string(component_name(part.site.component));
    }
    return text;
}

std::string refusal(const Graph& graph, int n_layers) {
    return error_of([&] { find_sites(graph.nodes, kWidth, n_layers); });
}

Graph sequential(int n_layers) {
    Graph graph;
    int stream = graph.tokens();
    for (int layer = 0; layer < n_layers; ++layer) stream = graph.pre_norm_block(stream, layer);
    graph.end(stream);
    return graph;
}

TEST(FindSites, FindsEverySiteOfAPreNormBlock) {
    expect_names(sequential(1), 1,
                 {{"embed", "inp_embd"},
                  {"blocks.0.resid_pre", "inp_embd"},
                  {"blocks.0.ln1", "attn_norm-0"},
                  {"blocks.0.z", "kqv_out-0"},
                  {"blocks.0.attn_out", "attn_out-0"},
                  {"blocks.0.resid_mid", "ffn_inp-0"},
                  {"blocks.0.ln2", "ffn_norm-0"},
                  {"blocks.0.mlp_out", "ffn_out-0"},
                  {"blocks.0.resid_post", "l_out-0"},
                  {"ln_final", "result_norm"}});
}

TEST(FindSites, ReadsEachBlocksStreamFromTheOneBefore) {
    const Nodes found = find(sequential(3), 3);
    EXPECT_EQ(found.at("blocks.1.resid_pre"), found.at("blocks.0.resid_post"));
    EXPECT_EQ(found.at("blocks.2.resid_pre"), found.at("blocks.1.resid_post"));
}

TEST(FindSites, GivesNetworkOrder) {
    const auto sites = find_sites(sequential(12).nodes, kWidth, 12).sites;
    EXPECT_TRUE(std::is_sorted(sites.begin(), sites.end(), [](const SiteNode& a, const SiteNode& b) {
        return network_order(a.site, b.site);
    }));
}

TEST(FindSites, TellsLayerOneFromLayerEleven) {
    const Graph graph = sequential(12);
    const Nodes found = find(graph, 12);
    EXPECT_EQ(found.at("blocks.1.mlp_out"), graph.named("ffn_out-1"));
    EXPECT_EQ(found.at("blocks.11.mlp_out"), graph.named("ffn_out-11"));
}

TEST(FindSites, GivesRowsAndHeadsTheirShapes) {
    std::map<std::string, std::vector<std::int64_t>> shapes;
    const FoundSites found = find_sites(sequential(1).nodes, kWidth, 1);
    for (const SiteNode& site : found.sites) shapes[site.site.name()] = site.shape;
    EXPECT_EQ(shapes.at("blocks.0.mlp_out"), (std::vector<std::int64_t>{kWidth}));
    EXPECT_EQ(shapes.at("blocks.0.z"), (std::vector<std::int64_t>{kHeads, kWidth / kHeads}));
}

TEST(FindSites, FindsHeadsWithoutFlashAttention) {
    Graph graph;
    const int stream = graph.tokens();
    const int z = graph.unfused_heads(graph.norm(stream, "attn_norm-0"), "-0");
    const int mid = graph.add(graph.product(z, "node"), stream, "ffn_inp-0");
    graph.end(graph.add(graph.mlp(graph.norm(mid, "ffn_norm-0"), "-0"), mid, "l_out-0"));
    const auto sites = find_sites(graph.nodes, kWidth, 1).sites;
    const auto heads = std::ranges::find(sites, Site{Component::z, 0}, &SiteNode::site);
    ASSERT_NE(heads, sites.end());
    EXPECT_EQ(heads->node, z);
    EXPECT_EQ(heads->shape[0], kHeads);
}

TEST(FindSites, FindsLearnedPositions) {
    Graph graph;
    const int embed = graph.tokens(), positions = graph.positions();
    const int stem = graph.add(embed, positions, "inpL");
    graph.end(graph.pre_norm_block(stem, 0));
    const Nodes found = find(graph, 1);
    EXPECT_EQ(found.at("embed"), embed);
    EXPECT_EQ(found.at("pos_embed"), positions);
    EXPECT_EQ(found.at("blocks.0.resid_pre"), stem);
}

TEST(FindSites, TellsAScaledStreamFromThePlainEmbedding) {
    Graph graph;
    const int embed = graph.tokens();
    const int scaled = graph.add_node(Op::scale, "inp_scaled", {Graph::at(embed)});
    graph.end(graph.pre_norm_block(scaled, 0));
    const Nodes found = find(graph, 1);
    EXPECT_EQ(found.at("embed"), embed);
    EXPECT_EQ(found.at("blocks.0.resid_pre"), scaled);
}

TEST(FindSites, BeginsTheStreamAfterANormOfTheEmbedding) {
    Graph graph;
    const int embed = graph.tokens();
    const int normed = graph.norm(embed, "inp_norm");
    graph.end(graph.pre_norm_block(normed, 0));
    const Nodes found = find(graph, 1);
    EXPECT_EQ(found.at("embed"), embed);
    EXPECT_EQ(found.at("blocks.0.resid_pre"), normed);
}

TEST(FindSites, StartsFromTheBatchsVectorsWhereTheyAreTheInput) {
    Graph graph;
    const int stream = graph.add_node(Op::view, "inp_embd", {Graph::input("inp_embd")});
    graph.end(graph.pre_norm_block(stream, 0));
    EXPECT_EQ(find(graph, 1).at("embed"), -1);
}

TEST(FindSites, TakesParallelWritesThatAreAddedOneByOne) {
    Graph graph;
    const int stream = graph.tokens();
    const int normed = graph.norm(stream, "attn_norm-0");
    const int attention = graph.attention(normed, "-0"), mlp = graph.mlp(normed, "-0");
    graph.end(graph.add(graph.add(attention, stream, "node"), mlp, "l_out-0"));
    expect_names(graph, 1,
                 {{"embed", "inp_embd"},
                  {"blocks.0.resid_pre", "inp_embd"},
                  {"blocks.0.ln1", "attn_norm-0"},
                  {"blocks.0.z", "kqv_out-0"},
                  {"blocks.0.attn_out", "attn_out-0"},
                  {"blocks.0.mlp_out", "ffn_out-0"},
                  {"blocks.0.resid_post", "l_out-0"},
                  {"ln_final", "result_norm"}});
}

TEST(FindSites, TakesAJointParallelSumApart) {
    Graph graph;
    const int stream = graph.tokens();
    const int normed = graph.norm(stream, "attn_norm-0");
    const int attention = graph.attention(normed, "-0"), mlp = graph.mlp(normed, "-0");
    graph.end(graph.add(graph.add(mlp, attention, "node"), stream, "l_out-0"));
    const Nodes found = find(graph, 1);
    EXPECT_EQ(found.at("blocks.0.attn_out"), attention);
    EXPECT_EQ(found.at("blocks.0.mlp_out"), mlp);
    EXPECT_FALSE(found.contains("blocks.0.resid_mid"));
}

TEST(FindSites, GivesAParallelBlockWithTwoNormsBoth) {
    Graph graph;
    const int stream = graph.tokens();
    const int attention = graph.attention(graph.norm(stream, "attn_norm-0"), "-0");
    const int mlp = graph.mlp(graph.norm(stream, "ffn_norm-0"), "-0");
    graph.end(graph.add(graph.add(mlp, attention, "node"), stream, "l_out-0"));
    const Nodes found = find(graph, 1);
    EXPECT_EQ(found.at("blocks.0.ln1"), graph.named("attn_norm-0"));
    EXPECT_EQ(found.at("blocks.0.ln2"), graph.named("ffn_norm-0"));
}

TEST(FindSites, TakesAPostNormsOutputForWhatTheBlockWrote) {
    Graph graph;
    const int stream = graph.tokens();
    const int mid =
        graph.add(graph.norm(graph.attention(stream, "-0"), "attn_post_norm-0"), stream, "ffn_inp-0");
    graph.end(graph.add(graph.norm(graph.mlp(mid, "-0"), "ffn_post_norm-0"), mid, "l_out-0"));
    expect_names(graph, 1,
                 {{"embed", "inp_embd"},
                  {"blocks.0.resid_pre", "inp_embd"},
                  {"blocks.0.z", "kqv_out-0"},
                  {"blocks.0.attn_out", "attn_post_norm-0"},
                  {"blocks.0.resid_mid", "ffn_inp-0"},
                  {"blocks.0.mlp_out", "ffn_post_norm-0"},
                  {"blocks.0.resid_post", "l_out-0"},
                  {"ln_final", "result_norm"}});
}

TEST(FindSites, KnowsTheStreamOnEitherSideOfAnAddition) {
    Graph graph;
    const int stream = graph.tokens();
    const int mid = graph.add(stream, graph.attention(graph.norm(stream, "n-0"), "-0"), "ffn_inp-0");
    const int post = graph.add(mid, graph.mlp(graph.norm(mid, "n-0"), "-0"), "l_out-0");
    graph.end(post);
    EXPECT_EQ(find(graph, 1).at("blocks.0.resid_post"), post);
}

TEST(FindSites, CountsABiasAsPartOfWhatIsWritten) {
    Graph graph;
    const int stream = graph.tokens();
    const int bare = graph.attention(graph.norm(stream, "n-0"), "-0");
    const int biased =
        graph.add_node(Op::add, "node_24", {Graph::at(bare), Graph::weight("attn_output.bias")});
    const int mid = graph.add(biased, stream, "ffn_inp-0");
    graph.end(graph.add(graph.mlp(graph.norm(mid, "n-0"), "-0"), mid, "l_out-0"));
    EXPECT_EQ(find(graph, 1).at("blocks.0.attn_out"), biased);
}

TEST(FindSites, PutsTheNormsBiasIntoItsOutput) {
    Graph graph;
    const int stream = graph.pre_norm_block(graph.tokens(), 0);
    const int scaled = graph.norm(stream, "final");
    const int biased =
        graph.add_node(Op::add, "result_norm", {Graph::at(scaled), Graph::weight("output_norm.bias")});
    graph.product(biased, "result_output");
    EXPECT_EQ(find(graph, 1).at("ln_final"), biased);
}

TEST(FindSites, FollowsTheStreamThroughPickedRows) {
    Graph graph;
    const int stream = graph.pre_norm_block(graph.tokens(), 0);
    const int mid = graph.add(graph.attention(graph.norm(stream, "n-1"), "-1"), stream, "ffn_inp-1");
    const int picked = graph.add_node(Op::get_rows, "node", {Graph::at(mid), Graph::input("inp_out_ids")});
    graph.end(graph.add(graph.mlp(graph.norm(picked, "n-1"), "-1"), picked, "l_out-1"));
    EXPECT_EQ(find(graph, 2).at("blocks.1.resid_mid"), mid);
}

TEST(FindSites, FindsTheRouterOfAMixture) {
    Graph graph;
    const int stream = graph.tokens();
    const int mid = graph.add(graph.attention(graph.norm(stream, "n-0"), "-0"), stream, "ffn_inp-0");
    const int normed = graph.norm(mid, "ffn_norm-0");
    const int gate = graph.product(normed, "ffn_moe_logits-0", 6);
    const int probabilities =
        graph.add_node(Op::soft_max, "ffn_moe_probs-0", {Graph::at(gate)}, {6, kTokens, 1, 1});
    const int chosen =
        graph.add_node(Op::other, "ffn_moe_topk-0", {Graph::at(probabilities)}, {2, kTokens, 1, 1});
    const int experts =
        graph.add_node(Op::mul_mat_id, "ffn_moe_down-0",
                       {Graph::weight("ffn_down_exps.weight"), Graph::at(normed), Graph::at(chosen)});
    const int weighted =
        graph.add_node(Op::mul, "ffn_moe_weighted-0", {Graph::at(experts), Graph::at(probabilities)});
    graph.end(graph.add(weighted, mid, "l_out-0"));
    const auto sites = find_sites(graph.nodes, kWidth, 1).sites;
    const auto router = std::ranges::find(sites, Site{Component::router, 0}, &SiteNode::site);
    ASSERT_NE(router, sites.end());
    EXPECT_EQ(router->node, probabilities);
    EXPECT_EQ(router->shape, (std::vector<std::int64_t>{6}));
}

// llama.cpp's names serve to number layers and for nothing else.

TEST(FindSitesDespiteNames, TellsAttentionFromMlpWhoseNamesAreSwapped) {
    Graph graph = sequential(1);
    const Nodes honest = find(graph, 1);
    graph.nodes[static_cast<std::size_t>(graph.named("attn_out-0"))].name = "swap";
    graph.nodes[static_cast<std::size_t>(graph.named("ffn_out-0"))].name = "attn_out-0";
    graph.nodes[static_cast<std::size_t>(graph.named("swap"))].name = "ffn_out-0";
    EXPECT_EQ(find(graph, 1), honest);
}

TEST(FindSitesDespiteNames, TakesTheRightOneOfTwoNodesNamedFfnOut) {
    Graph graph = sequential(1);
    const int written = graph.named("ffn_out-0");
    graph.nodes[static_cast<std::size_t>(graph.named("ffn_gelu-0"))].name = "ffn_out-0";
    EXPECT_EQ(find(graph, 1).at("blocks.0.mlp_out"), written);
}

TEST(FindSitesDespiteNames, NeedsNoNameAtAnyStation) {
    Graph graph = sequential(2);
    const Nodes honest = find(graph, 2);
    for (GraphNode& node : graph.nodes) {
        const bool station = node.name.starts_with("ffn_inp") || node.name.starts_with("l_out") ||
                             node.name.starts_with("attn_out") || node.name.starts_with("ffn_out");
        if (station) node.name = "node_7";
    }
    EXPECT_EQ(find(graph, 2), honest);
}

TEST(FindSitesDespiteNames, OutvotesANodeWithAnotherLayersNumber) {
    Graph graph = sequential(3);
    const Nodes honest = find(graph, 3);
    graph.nodes[static_cast<std::size_t>(graph.named("Qcur-1"))].name = "Qcur-2";
    EXPECT_EQ(find(graph, 3), honest);
}

TEST(FindSitesDespiteNames, ReadsTheNumberOfAReshapedNode) {
    Graph graph = sequential(1);
    for (GraphNode& node : graph.nodes) {
        if (node.name.ends_with("-0")) node.name += " (reshaped)";
    }
    EXPECT_TRUE(find(graph, 1).contains("blocks.0.attn_out"));
}

// Streams of other kinds than a transformer's decoder.

TEST(FindSites, CallsWhatARecurrentStateWritesAMixersOutput) {
    Graph graph;
    const int stream = graph.pre_norm_block(graph.tokens(), 0);
    const int mid = graph.add(graph.mixer(graph.norm(stream, "attn_norm-1"), "-1"), stream, "mid-1");
    graph.end(graph.add(graph.mlp(graph.norm(mid, "ffn_norm-1"), "-1"), mid, "l_out-1"));
    const Nodes found = find(graph, 2);
    EXPECT_EQ(found.at("blocks.1.mixer_out"), graph.named("ssm_out-1"));
    EXPECT_EQ(found.at("blocks.1.ln1"), graph.named("attn_norm-1"));
    EXPECT_EQ(found.at("blocks.1.resid_mid"), mid);
    EXPECT_FALSE(found.contains("blocks.1.attn_out"));
    EXPECT_TRUE(found.contains("blocks.0.attn_out"));
}

TEST(FindSites, KnowsARecurrentStateByItsCacheWhereTheOperationIsPlain) {
    Graph graph;
    const int stream = graph.tokens();
    const int normed = graph.norm(stream, "attn_norm-0");
    const int state = graph.add_node(Op::view, "state-0", {Graph::input("cache_s_l0")});
    const int mixed = graph.add_node(Op::mul_mat, "linear-0", {Graph::at(state), Graph::at(normed)});
    graph.end(graph.add(graph.product(mixed, "out-0"), stream, "l_out-0"));
    const Nodes found = find(graph, 1);
    EXPECT_EQ(found.at("blocks.0.mixer_out"), graph.named("out-0"));
}

TEST(FindSites, NumbersALayerThatTakesValuesOfTheFirst) {
    Graph graph;
    int stream = graph.tokens();
    const int first = graph.norm(stream, "attn_norm-0");
    int value = graph.product(first, "value-0");
    for (int i = 0; i < 6; ++i) value = graph.add_node(Op::other, "value-0", {Graph::at(value)});
    stream = graph.add(graph.mixer(value, "-0"), stream, "l_out-0");
    const int normed = graph.norm(stream, "attn_norm-1");
    const int mixed = graph.add_node(Op::mul, "mixed-1", {Graph::at(normed), Graph::at(value)});
    stream = graph.add(graph.mixer(mixed, "-1"), stream, "l_out-1");
    graph.end(stream);
    const Nodes found = find(graph, 2);
    EXPECT_EQ(found.at("blocks.1.mixer_out"), graph.named("ssm_out-1"));
    EXPECT_EQ(found.at("blocks.1.ln1"), normed);
}

TEST(FindSites, AllowsALayerOfOneWrite) {
    Graph graph;
    int stream = graph.tokens();
    stream = graph.add(graph.mixer(graph.norm(stream, "n-0"), "-0"), stream, "l_out-0");
    stream = graph.add(graph.attention(graph.norm(stream, "n-1"), "-1"), stream, "l_out-1");
    stream = graph.add(graph.mlp(graph.norm(stream, "n-2"), "-2"), stream, "l_out-2");
    graph.end(stream);
    const Nodes found = find(graph, 3);
    EXPECT_EQ(found.at("blocks.2.mlp_out"), graph.named("ffn_out-2"));
    EXPECT_EQ(found.at("blocks.1.resid_pre"), found.at("blocks.0.resid_post"));
    for (int layer = 0; layer < 3; ++layer)
        EXPECT_FALSE(found.contains(Site{Component::resid_mid, layer}.name()));
}

TEST(FindSites, TakesAttentionAndMixerOfOneWriteApart) {
    Graph graph;
    const int stream = graph.tokens();
    const int normed = graph.norm(stream, "attn_norm-0");
    const int both = graph.add(graph.attention(normed, "-0"), graph.mixer(normed, "-0"), "both-0");
    const int mid = graph.add(both, stream, "ffn_inp-0");
    graph.end(graph.add(graph.mlp(graph.norm(mid, "ffn_norm-0"), "-0"), mid, "l_out-0"));
    const FoundSites found = find_sites(graph.nodes, kWidth, 1);
    const Nodes nodes = nodes_of(found.sites);
    EXPECT_EQ(nodes.at("blocks.0.attn_out"), graph.named("attn_out-0"));
    EXPECT_EQ(nodes.at("blocks.0.mixer_out"), graph.named("ssm_out-0"));
    EXPECT_EQ(sums_of(found),
              "resid_mid = resid_pre + attn_out + mixer_out; resid_post = resid_mid + mlp_out");
}

TEST(FindSites, PutsAScaleOfTheWholeStreamIntoTheSum) {
    Graph graph;
    const int stream = graph.pre_norm_block(graph.tokens(), 0);
    const int scaled = graph.times(stream, 0.5f, "out_scaled-0");
    graph.end(graph.pre_norm_block(scaled, 1));
    const FoundSites found = find_sites(graph.nodes, kWidth, 2);
    const Nodes nodes = nodes_of(found.sites);
    EXPECT_EQ(nodes.at("blocks.0.resid_post"), scaled);
    EXPECT_EQ(nodes.at("blocks.1.resid_pre"), scaled);
    EXPECT_EQ(found.sums[1].factor, 0.5);
    EXPECT_EQ(found.sums[3].factor, 1);
}

TEST(FindSites, CountsAStreamThatOnlyTheAdditionScales) {
    Graph graph;
    const int stream = graph.tokens();
    const int mid = graph.add(graph.attention(graph.norm(stream, "attn_norm-0"), "-0"),
                              graph.times(stream, 3, "scaled-0"), "ffn_inp-0");
    graph.end(graph.add(graph.mlp(graph.norm(mid, "ffn_norm-0"), "-0"), mid, "l_out-0"));
    const FoundSites found = find_sites(graph.nodes, kWidth, 1);
    EXPECT_EQ(nodes_of(found.sites).at("blocks.0.resid_pre"), stream);
    EXPECT_EQ(found.sums[0].parts[0].factor, 3);
}

TEST(FindSites, NamesWhatIsAddedOfAnEarlierStream) {
    Graph graph;
    const int embed = graph.norm(graph.tokens(), "inp_norm");
    int stream = embed;
    for (int layer = 0; layer < 2; ++layer) {
        stream = graph.pre_norm_block(stream, layer);
        const int rows = graph.add_node(Op::get_rows, "node", {Graph::at(embed), Graph::input("out_ids")});
        const std::string suffix = "-" + std::to_string(layer);
        stream = graph.add(stream, graph.times(rows, 0.1f, "embd_skip" + suffix), "end" + suffix);
    }
    graph.end(stream);
    const FoundSites found = find_sites(graph.nodes, kWidth, 2);
    const Nodes nodes = nodes_of(found.sites);
    EXPECT_EQ(nodes.at("blocks.1.skip_out"), graph.named("embd_skip-1"));
    EXPECT_EQ(nodes.at("blocks.1.resid_post"), stream);
    EXPECT_EQ(found.sums[3].parts.size(), 3);
}

TEST(FindSites, TellsAMixtureFromTheMlpBesideIt) {
    Graph graph;
    const int stream = graph.tokens();
    const int mid = graph.add(graph.attention(graph.norm(stream, "attn_norm-0"), "-0"), stream, "ffn_inp-0");
    const int dense = graph.add(graph.mlp(graph.norm(mid, "ffn_norm-0"), "-0"), mid, "dense-0");
    const int experts =
        graph.add_node(Op::mul_mat_id, "moe-0", {Graph::weight("w"), Graph::at(graph.norm(stream, "n-0"))});
    graph.end(graph.add(experts, dense, "l_out-0"));
    const FoundSites found = find_sites(graph.nodes, kWidth, 1);
    EXPECT_EQ(nodes_of(found.sites).at("blocks.0.moe_out"), experts);
    EXPECT_EQ(sums_of(found), "resid_mid = resid_pre + attn_out; resid_post = resid_mid + mlp_out + moe_out");
}

TEST(FindSites, TellsALayersOwnEmbeddingFromTheMlp) {
    Graph graph;
    const int embed = graph.tokens();
    const int stream = graph.pre_norm_block(embed, 0);
    const int gate = graph.product(stream, "gate-0");
    const int own = graph.add_node(Op::mul, "per_layer-0",
                                   {Graph::at(gate), Graph::at(graph.product(embed, "inp_per_layer-0"))});
    graph.end(graph.add(graph.product(own, "ple-0"), stream, "l_out2-0"));
    EXPECT_EQ(find(graph, 1).at("blocks.0.ple_out"), graph.named("ple-0"));
}

TEST(FindSites, FollowsAStreamThatIsNormedBehindEachAddition) {
    Graph graph;
    int stream = graph.norm(graph.tokens(), "token_norm");
    const int first = stream;
    for (int layer = 0; layer < 2; ++layer) {
        const std::string suffix = "-" + std::to_string(layer);
        const int mid = graph.add(graph.attention(stream, suffix), stream, "mid" + suffix);
        const int normed = graph.block_norm(mid, "attn_out_norm" + suffix, layer);
        const int post = graph.add(graph.mlp(normed, suffix), normed, "post" + suffix);
        stream = graph.block_norm(post, "layer_out_norm" + suffix, layer);
    }
    const FoundSites found = find_sites(graph.nodes, kWidth, 2);
    const Nodes nodes = nodes_of(found.sites);
    EXPECT_EQ(nodes.at("blocks.0.resid_pre"), first);
    EXPECT_EQ(nodes.at("blocks.0.ln1"), graph.named("attn_out_norm-0"));
    EXPECT_EQ(nodes.at("blocks.0.resid_post"), graph.named("post-0"));
    EXPECT_EQ(nodes.at("blocks.0.ln2"), graph.named("layer_out_norm-0"));
    EXPECT_EQ(nodes.at("blocks.1.resid_pre"), nodes.at("blocks.0.ln2"));
    EXPECT_FALSE(nodes.contains("ln_final"));
    EXPECT_EQ(sums_of(found),
              "resid_mid = resid_pre + attn_out; resid_post = ln1 + mlp_out; "
              "resid_mid = resid_pre + attn_out; resid_post = ln1 + mlp_out");
}

TEST(FindSites, KnowsInputVectorsThatWereRenamedByTheNormThatReadsThem) {
    Graph graph;
    GraphNode::Source input = Graph::input("attn_norm_in-0");
    input.width = kWidth;
    const int bare = graph.add_node(Op::norm, "norm-0", {input});
    const int normed =
        graph.add_node(Op::mul, "attn_norm-0", {Graph::at(bare), Graph::weight("norm.weight")});
    const int mid = graph.add_node(Op::add, "ffn_inp-0", {Graph::at(graph.attention(normed, "-0")), input});
    graph.end(graph.add(graph.mlp(graph.norm(mid, "ffn_norm-0"), "-0"), mid, "l_out-0"));
    const Nodes found = find(graph, 1);
    EXPECT_EQ(found.at("embed"), -1);
    EXPECT_EQ(found.at("blocks.0.resid_pre"), -1);
    EXPECT_EQ(found.at("blocks.0.ln1"), normed);
}

TEST(FindSites, TellsByWhatAnEmbeddingIsMultiplied) {
    Graph graph;
    const int embed = graph.tokens();
    const int scaled = graph.add_node(Op::scale, "inp_scaled", {Graph::at(embed)});
    graph.nodes.back().factor = 8;
    graph.end(graph.pre_norm_block(scaled, 0));
    EXPECT_EQ(find_sites(graph.nodes, kWidth, 1).stem_factor, 8);
}

// Graphs that have no sites to name.

TEST(FindSitesRefuses, AnEmptyGraph) {
    EXPECT_EQ(
        refusal(Graph{}, 1),
        "cannot find the residual stream of this model: no norm reads a stream that began at the "
        "embedding: the stream was last seen at the batch's own vectors; only models whose blocks add to "
        "one stream can be recorded");
}

TEST(FindSitesRefuses, AStreamWithoutALastNorm) {
    Graph graph;
    graph.product(graph.mlp(graph.tokens(), "-0"), "result_output");
    EXPECT_NE(refusal(graph, 1).find("no norm reads a stream"), std::string::npos);
}

TEST(FindSitesRefuses, TwoMlpWritesInALayer) {
    Graph graph;
    int stream = graph.pre_norm_block(graph.tokens(), 0);
    stream = graph.add(graph.mlp(graph.norm(stream, "ffn_norm2-0"), "-0"), stream, "second-0");
    graph.end(stream);
    EXPECT_NE(refusal(graph, 1).find("layer 0 writes to the stream more than once from its MLP"),
              std::string::npos);
}

TEST(FindSitesRefuses, TwoAttentionWritesInALayer) {
    Graph graph;
    int stream = graph.pre_norm_block(graph.tokens(), 0);
    stream = graph.add(graph.attention(graph.norm(stream, "cross_norm-0"), "-0"), stream, "cross-0");
    graph.end(stream);
    EXPECT_NE(refusal(graph, 1).find("layer 0 writes to the stream more than once from its attention"),
              std::string::npos);
}

TEST(FindSitesRefuses, LayersThatAreRunMoreThanOnce) {
    Graph graph;
    int stream = graph.pre_norm_block(graph.pre_norm_block(graph.tokens(), 0), 1);
    stream = graph.pre_norm_block(graph.pre_norm_block(stream, 0), 1);
    for (GraphNode& node : graph.nodes) {
        for (auto& source : node.sources) {
            if (source.weight && source.leaf == "w.weight") source.leaf = "blk.0.w.weight";
        }
    }
    graph.end(stream);
    const std::string error = refusal(graph, 2);
    EXPECT_NE(error.find("layer 0 writes at 'ffn_inp-0' after layer 1"), std::string::npos) << error;
    EXPECT_NE(error.find("its layers are run more than once (blk.0.w.weight"), std::string::npos) << error;
}

TEST(FindSitesRefuses, AStreamThatIsLostAndSaysWhere) {
    Graph graph;
    const int stream = graph.pre_norm_block(graph.tokens(), 0);
    const int copies = graph.add_node(Op::other, "hc_init", {Graph::at(stream)}, {kWidth, 4, kTokens, 1});
    graph.nodes.back().kind = "REPEAT";
    graph.product(copies, "result_output");
    const std::string error = refusal(graph, 1);
    EXPECT_NE(error.find("the stream was last seen at 'l_out-0'"), std::string::npos) << error;
    EXPECT_NE(error.find("lost at 'hc_init' (REPEAT)"), std::string::npos) << error;
}

TEST(FindSitesRefuses, ALayerThatWritesNothing) {
    Graph graph;
    graph.end(graph.pre_norm_block(graph.pre_norm_block(graph.tokens(), 0), 2));
    EXPECT_NE(refusal(graph, 3).find("layer 1 writes nothing to the stream"), std::string::npos);
}

TEST(FindSitesRefuses, FewerLayersThanTheHeaderPromises) {
    EXPECT_NE(refusal(sequential(2), 3).find("its header promises 3 layers, but 2 write to the stream"),
              std::string::npos);
}

TEST(FindSitesRefuses, AWriteWithoutALayerNumber) {
    Graph graph = sequential(1);
    for (GraphNode& node : graph.nodes) {
        if (node.name.ends_with("-0") && !node.name.starts_with("l_out")) node.name = "node";
    }
    EXPECT_NE(refusal(graph, 1).find("has no layer number"), std::string::npos);
}

TEST(FindSitesRefuses, AStreamThatIsMultipliedOnItsWay) {
    Graph graph;
    const int stream = graph.pre_norm_block(graph.tokens(), 0);
    const int gated =
        graph.add_node(Op::mul, "gated-0", {Graph::at(stream), Graph::weight("layer_scale.weight")});
    graph.end(graph.pre_norm_block(gated, 1));
    EXPECT_NE(refusal(graph, 2), "");
}

// A decoder beside an encoder: attention to its own tokens, then to what the encoder gave, in one layer.
TEST(FindSites, TellsAttentionToASource) {
    for (const bool fused : {true, false}) {
        Graph g;
        int stream = g.tokens();
        const int self = g.attention(g.norm(stream, "attn_norm-0"), "-0");
        const int behind = g.add(self, stream, "cross_inp-0");
        const int query = g.product(g.norm(behind, "attn_norm_cross-0"), "Qcur-0");
        const auto of_source = [&](const std::string& name) {
            return g.add_node(Op::mul_mat, name, {Graph::weight("w.weight"), Graph::input("cross_embd")});
        };
        const int key = of_source("Kcur-0"), value = of_source("Vcur-0");
        int heads = -1;
        if (fused) {
            heads = g.add_node(Op::attention, "fa", {Graph::at(query), Graph::at(key), Graph::at(value)},
                               {kWidth / kHeads, kHeads, kTokens, 1});
        } else {
            const int scores = g.add_node(Op::mul_mat, "kq", {Graph::at(key), Graph::at(query)},
                                          {kTokens, kTokens, kHeads, 1});
            const int soft =
                g.add_node(Op::soft_max, "soft", {Graph::at(scores)}, {kTokens, kTokens, kHeads, 1});
            heads = g.add_node(Op::mul_mat, "kqv", {Graph::at(value), Graph::at(soft)},
                               {kWidth / kHeads, kTokens, kHeads, 1});
        }
        const int cross = g.product(heads, "kqv_out-0");
        const int mid = g.add(cross, behind, "ffn_inp-0");
        const int mlp = g.mlp(g.norm(mid, "ffn_norm-0"), "-0");
        const int post = g.add(mlp, mid, "l_out-0");
        g.end(post);
        const FoundSites found = find_sites(g.nodes, kWidth, 1);
        const Nodes nodes = nodes_of(found.sites);
        EXPECT_EQ(nodes.at("blocks.0.attn_out"), self);
        EXPECT_EQ(nodes.at("blocks.0.cross_attn_out"), cross);
        EXPECT_EQ(nodes.at("blocks.0.resid_mid"), mid);
        EXPECT_EQ(nodes.at("blocks.0.mlp_out"), mlp);
        EXPECT_EQ(nodes.at("blocks.0.resid_post"), post);
        ASSERT_EQ(found.sums.size(), 2u);
        EXPECT_EQ(found.sums[0].parts.size(), 3u);
    }
}

}  // namespace
}  // namespace tomograph
