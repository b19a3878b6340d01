#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "model/graph_sketch.h"

namespace tomograph {
namespace {

using namespace test;

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
