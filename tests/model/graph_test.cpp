#include "tomograph/model/graph.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "model/graph_sketch.h"

namespace tomograph {
namespace {

using namespace test;

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

/// By name, what find_parts() says of a graph's sites.
std::map<std::string, std::vector<std::string>> parts_of(const Graph& graph, int n_layers) {
    const FoundSites found = find_sites(graph.nodes, kWidth, n_layers);
    const auto parts = find_parts(found.sites, found.sums);
    std::map<std::string, std::vector<std::string>> names;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        for (const std::size_t part : parts[i])
            names[found.sites[i].site.name()].push_back(found.sites[part].site.name());
    }
    return names;
}

TEST(FindParts, FindsOtherNamesAndPlainSums) {
    using Names = std::map<std::string, std::vector<std::string>>;
    EXPECT_EQ(parts_of(sequential(2), 2),
              (Names{{"blocks.0.resid_mid", {"blocks.0.resid_pre", "blocks.0.attn_out"}},
                     {"blocks.0.resid_post", {"blocks.0.resid_mid", "blocks.0.mlp_out"}},
                     {"blocks.1.resid_pre", {"blocks.0.resid_post"}},
                     {"blocks.1.resid_mid", {"blocks.1.resid_pre", "blocks.1.attn_out"}},
                     {"blocks.1.resid_post", {"blocks.1.resid_mid", "blocks.1.mlp_out"}}}));
}

TEST(FindParts, LeavesOutWhatIsScaledOrMixed) {
    FoundSites found = find_sites(sequential(1).nodes, kWidth, 1);
    const auto n_sums = [&] {
        const auto parts = find_parts(found.sites, found.sums);
        return std::ranges::count_if(parts, [](const auto& one) { return one.size() > 1; });
    };
    ASSERT_EQ(n_sums(), 2);
    found.sums[0].factor = 0.5;
    EXPECT_EQ(n_sums(), 1);
    found.sums[1].parts[1].factor = 2;
    EXPECT_EQ(n_sums(), 0);
    found.sums[1].parts[1].factor = 1;
    found.sums[1].parts[1].mix = SiteSum::Mix{found.sites[0].site};
    EXPECT_EQ(n_sums(), 0);
}

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
    const int rolled = graph.add_node(Op::other, "rolled", {Graph::at(stream)}, {kWidth, kTokens, 1, 1});
    graph.nodes.back().kind = "ROLL";
    graph.product(rolled, "result_output");
    const std::string error = refusal(graph, 1);
    EXPECT_NE(error.find("the stream was last seen at 'l_out-0'"), std::string::npos) << error;
    EXPECT_NE(error.find("lost at 'rolled' (ROLL)"), std::string::npos) << error;
}

TEST(FindSitesRefuses, AStreamThatBecomesSeveral) {
    Graph graph;
    const int stream = graph.pre_norm_block(graph.tokens(), 0);
    const int copies = graph.add_node(Op::other, "hc_init", {Graph::at(stream)}, {kWidth, 4, kTokens, 1});
    graph.nodes.back().kind = "REPEAT";
    graph.product(copies, "result_output");
    const std::string error = refusal(graph, 1);
    EXPECT_NE(error.find("mixtures of 4 streams (hyper-connections), which begin at 'hc_init' (REPEAT)"),
              std::string::npos)
        << error;
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

}  // namespace
}  // namespace tomograph
