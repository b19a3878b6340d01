// Hyper-connections: several streams, of which a block reads a mixture, and to which it deals out its write.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "model/graph_sketch.h"

namespace tomograph {
namespace {

using namespace test;

constexpr std::int64_t kStreams = 4;

/// As llama.cpp writes them: with operations of its own, or as sums of products.
class Streams : public Graph {
  public:
    int other(const std::string& kind, const std::string& name, std::vector<GraphNode::Source> sources,
              std::array<std::int64_t, 4> shape) {
        const int index = add_node(Op::other, name, std::move(sources), shape);
        nodes.back().kind = kind;
        return index;
    }
    int begin(int embedding) {
        const int one = add_node(Op::view, "one", {at(embedding)}, {kWidth, 1, kTokens, 1});
        return other("REPEAT", "hc_init", {at(one)}, kWide);
    }
    /// What all weights are computed from: the streams as one long row, normed.
    int weights(int streams, const std::string& name, std::array<std::int64_t, 4> shape) {
        const int flat = add_node(Op::view, "flat", {at(streams)}, {kWidth * kStreams, kTokens, 1, 1});
        const int normed = add_node(Op::norm, "flat_norm", {at(flat)}, {kWidth * kStreams, kTokens, 1, 1});
        const int mixes = product(normed, "hc_mixes", 24);
        const int part = add_node(Op::view, "part", {at(mixes)}, shape);
        return add_node(Op::sigmoid, name, {at(part)}, shape);
    }
    int pre(int streams, const std::string& suffix) { return weights(streams, "hc_pre" + suffix, kEach); }
    int mixture(int streams, const std::string& suffix) {
        return other("DSV4_HC_PRE", "mixed" + suffix, {at(streams), at(pre(streams, suffix))}, kRow);
    }
    int deal(int value, int streams, const std::string& suffix, bool comb = true) {
        const int post = weights(streams, "hc_post" + suffix, kEach);
        std::vector<GraphNode::Source> sources{at(value), at(streams), at(post)};
        if (comb)
            sources.push_back(at(weights(streams, "hc_comb" + suffix, {kStreams, kStreams, kTokens, 1})));
        return other("DSV4_HC_POST", "streams" + suffix, std::move(sources), kWide);
    }
    int one_of(int streams) { return add_node(Op::view, "one of", {at(streams)}); }
    int weight_of(int weights) { return add_node(Op::view, "weight", {at(weights)}, {1, kTokens, 1, 1}); }
    int times(int row, int weights) {
        return add_node(Op::mul, "product", {at(row), at(weight_of(weights))}, kRow);
    }
    /// The same as sums of products of single streams.
    int written_out_mixture(int streams, const std::string& suffix) {
        const int weights = pre(streams, suffix);
        int sum = times(one_of(streams), weights);
        for (int i = 1; i < kStreams; ++i)
            sum = add(sum, times(one_of(streams), weights), i + 1 < kStreams ? "sum" : "mixed" + suffix);
        return sum;
    }
    int written_out_deal(int value, int streams, const std::string& suffix, bool comb) {
        const int post = weights(streams, "hc_post" + suffix, kEach);
        const int matrix = comb ? weights(streams, "hc_comb" + suffix, {kStreams, kStreams, kTokens, 1}) : -1;
        int joined = -1;
        for (int to = 0; to < kStreams; ++to) {
            int sum = times(value, post);
            for (int from = 0; from < kStreams; ++from) {
                if (comb) sum = add(sum, times(one_of(streams), matrix), "sum");
            }
            if (!comb) sum = add(one_of(streams), sum, "sum");
            const int piece = add_node(Op::view, "piece", {at(sum)}, {kWidth, 1, kTokens, 1});
            joined = to == 0 ? piece
                             : other("CONCAT", to + 1 < kStreams ? "joining" : "streams" + suffix,
                                     {at(joined), at(piece)}, {kWidth, to + 1, kTokens, 1});
        }
        return joined;
    }
    int block(int streams, int layer, bool comb = true) {
        const std::string n = "-" + std::to_string(layer);
        const int attention = this->attention(norm(mixture(streams, "_attn" + n), "attn_norm" + n), n);
        const int mid = deal(attention, streams, "_attn" + n, comb);
        return deal(mlp(norm(mixture(mid, "_mlp" + n), "ffn_norm" + n), n), mid, "_mlp" + n, comb);
    }
    int written_out_block(int streams, int layer, bool comb) {
        const std::string n = "-" + std::to_string(layer);
        const int attention =
            this->attention(norm(written_out_mixture(streams, "_attn" + n), "attn_norm" + n), n);
        const int mid = written_out_deal(attention, streams, "_attn" + n, comb);
        return written_out_deal(mlp(norm(written_out_mixture(mid, "_mlp" + n), "ffn_norm" + n), n), mid,
                                "_mlp" + n, comb);
    }
    /// Mixed once more, and normed.
    void end_of(int streams) { end(written_out_mixture(streams, "_head")); }

    static constexpr std::array<std::int64_t, 4> kWide{kWidth, kStreams, kTokens, 1},
        kRow{kWidth, kTokens, 1, 1}, kEach{kStreams, kTokens, 1, 1};
};

const std::map<std::string, std::string> kSites{{"embed", "inp_embd"},
                                                {"blocks.0.resid_pre", "hc_init"},
                                                {"blocks.0.attn_hc_pre", "hc_pre_attn-0"},
                                                {"blocks.0.attn_in", "mixed_attn-0"},
                                                {"blocks.0.ln1", "attn_norm-0"},
                                                {"blocks.0.z", "kqv_out-0"},
                                                {"blocks.0.attn_out", "attn_out-0"},
                                                {"blocks.0.attn_hc_comb", "hc_comb_attn-0"},
                                                {"blocks.0.attn_hc_post", "hc_post_attn-0"},
                                                {"blocks.0.resid_mid", "streams_attn-0"},
                                                {"blocks.0.mlp_hc_pre", "hc_pre_mlp-0"},
                                                {"blocks.0.mlp_in", "mixed_mlp-0"},
                                                {"blocks.0.ln2", "ffn_norm-0"},
                                                {"blocks.0.mlp_out", "ffn_out-0"},
                                                {"blocks.0.mlp_hc_comb", "hc_comb_mlp-0"},
                                                {"blocks.0.mlp_hc_post", "hc_post_mlp-0"},
                                                {"blocks.0.resid_post", "streams_mlp-0"},
                                                {"ln_final", "result_norm"}};

TEST(SeveralStreams, GiveEverySiteOfABlock) {
    Streams graph;
    graph.end_of(graph.block(graph.begin(graph.tokens()), 0));
    expect_names(graph, 1, kSites);
}

TEST(SeveralStreams, AreFoundWhereADeviceHasNoOperationForThem) {
    Streams graph;
    graph.end_of(graph.written_out_block(graph.begin(graph.tokens()), 0, true));
    expect_names(graph, 1, kSites);
}

TEST(SeveralStreams, GoOnAsThemselvesWhereNothingMixesThem) {
    auto sites = kSites;
    sites.erase("blocks.0.attn_hc_comb");
    sites.erase("blocks.0.mlp_hc_comb");
    for (const bool written_out : {false, true}) {
        Streams graph;
        const int begin = graph.begin(graph.tokens());
        graph.end_of(written_out ? graph.written_out_block(begin, 0, false) : graph.block(begin, 0, false));
        expect_names(graph, 1, sites);
    }
}

TEST(SeveralStreams, AreReadByTheNextBlock) {
    Streams graph;
    graph.end_of(graph.block(graph.block(graph.begin(graph.tokens()), 0), 1));
    const Nodes found = find(graph, 2);
    EXPECT_EQ(found.at("blocks.1.resid_pre"), found.at("blocks.0.resid_post"));
    EXPECT_EQ(found.at("blocks.1.attn_in"), graph.named("mixed_attn-1"));
}

TEST(SeveralStreams, HaveTheirShapes) {
    Streams graph;
    graph.end_of(graph.block(graph.begin(graph.tokens()), 0));
    std::map<std::string, std::vector<std::int64_t>> shapes;
    const FoundSites found = find_sites(graph.nodes, kWidth, 1);
    for (const SiteNode& site : found.sites) shapes[site.site.name()] = site.shape;
    using Shape = std::vector<std::int64_t>;
    for (const char* name : {"resid_pre", "resid_mid", "resid_post"})
        EXPECT_EQ(shapes.at(std::string("blocks.0.") + name), (Shape{kStreams, kWidth}));
    for (const char* name : {"attn_in", "attn_out", "mlp_in", "mlp_out"})
        EXPECT_EQ(shapes.at(std::string("blocks.0.") + name), Shape{kWidth});
    for (const char* name : {"attn_hc_pre", "attn_hc_post", "mlp_hc_pre", "mlp_hc_post"})
        EXPECT_EQ(shapes.at(std::string("blocks.0.") + name), Shape{kStreams});
    EXPECT_EQ(shapes.at("blocks.0.attn_hc_comb"), (Shape{kStreams, kStreams}));
}

TEST(SeveralStreams, AddUpByTheirWeights) {
    Streams graph;
    graph.end_of(graph.block(graph.begin(graph.tokens()), 0));
    const FoundSites found = find_sites(graph.nodes, kWidth, 1);
    EXPECT_EQ(sums_of(found),
              "attn_in = resid_pre; resid_mid = resid_pre + attn_out; mlp_in = resid_mid; "
              "resid_post = resid_mid + mlp_out");
    const auto mix = [&](std::size_t sum, std::size_t part) { return *found.sums[sum].parts[part].mix; };
    EXPECT_EQ(mix(0, 0).weights, (Site{Component::attn_hc_pre, 0}));
    EXPECT_EQ(mix(0, 0).from, kStreams);
    EXPECT_EQ(mix(0, 0).to, 1);
    EXPECT_EQ(mix(1, 0).weights, (Site{Component::attn_hc_comb, 0}));
    EXPECT_EQ(mix(1, 0).from, kStreams);
    EXPECT_EQ(mix(1, 0).to, kStreams);
    EXPECT_EQ(mix(3, 1).weights, (Site{Component::mlp_hc_post, 0}));
    EXPECT_EQ(mix(3, 1).from, 1);
    EXPECT_EQ(mix(3, 1).to, kStreams);
}

// Qwen 4: a table's rows are added to each stream for itself, and a mixture is gated and has no weights.
TEST(SeveralStreams, TakeATablesRowsEachForItself) {
    Streams graph;
    const int begin = graph.begin(graph.tokens());
    const int rows = graph.add_node(Op::get_rows, "ple_embd",
                                    {Graph::weight("per_layer.weight"), Graph::input("inp_ngrams")});
    const int wide = graph.other("REPEAT", "ple_wide-0", {Graph::at(rows)}, Streams::kWide);
    const int gated = graph.add_node(Op::add, "ple-0", {Graph::at(wide), Graph::at(wide)}, Streams::kWide);
    const int after =
        graph.add_node(Op::add, "with_ple-0", {Graph::at(begin), Graph::at(gated)}, Streams::kWide);
    graph.end_of(graph.block(after, 0, false));
    const FoundSites found = find_sites(graph.nodes, kWidth, 1);
    const Nodes nodes = nodes_of(found.sites);
    EXPECT_EQ(nodes.at("blocks.0.resid_pre"), begin);
    EXPECT_EQ(nodes.at("blocks.0.ple_out"), gated);
    EXPECT_EQ(sums_of(found),
              "attn_in = resid_pre + ple_out; resid_mid = resid_pre + ple_out + attn_out; "
              "mlp_in = resid_mid; resid_post = resid_mid + mlp_out");
}

TEST(SeveralStreams, AreMixedValueByValueWhereTheyAreGated) {
    Streams graph;
    const int begin = graph.begin(graph.tokens());
    const auto gated = [&](int streams, const std::string& name) {
        const int normed = graph.add_node(Op::norm, "normed", {Graph::at(streams)}, Streams::kWide);
        const int scaled =
            graph.add_node(Op::mul, "scaled", {Graph::at(normed), Graph::weight("hc_norm")}, Streams::kWide);
        const int gate = graph.add_node(Op::view, "gate", {Graph::at(graph.product(scaled, "hc_gate", 32))},
                                        Streams::kWide);
        return graph.other("DSV4_HC_PRE", name, {Graph::at(scaled), Graph::at(gate)}, Streams::kRow);
    };
    const int mid = graph.deal(graph.attention(gated(begin, "mixed_attn-0"), "-0"), begin, "_attn-0", false);
    const int post = graph.deal(graph.mlp(gated(mid, "mixed_mlp-0"), "-0"), mid, "_mlp-0", false);
    graph.product(gated(post, "result_norm"), "result_output", 100);
    expect_names(graph, 1,
                 {{"embed", "inp_embd"},
                  {"blocks.0.resid_pre", "hc_init"},
                  {"blocks.0.attn_in", "mixed_attn-0"},
                  {"blocks.0.z", "kqv_out-0"},
                  {"blocks.0.attn_out", "attn_out-0"},
                  {"blocks.0.attn_hc_post", "hc_post_attn-0"},
                  {"blocks.0.resid_mid", "streams_attn-0"},
                  {"blocks.0.mlp_in", "mixed_mlp-0"},
                  {"blocks.0.mlp_out", "ffn_out-0"},
                  {"blocks.0.mlp_hc_post", "hc_post_mlp-0"},
                  {"blocks.0.resid_post", "streams_mlp-0"},
                  {"ln_final", "result_norm"}});
}

TEST(SeveralStreams, BeginAtTheBatchsVectorsWhateverTheseAreCalled) {
    Streams graph;
    GraphNode::Source vectors = Graph::input("model.input_embed");
    vectors.width = kWidth;
    const int one = graph.add_node(Op::view, "one", {vectors}, {kWidth, 1, kTokens, 1});
    const int begin = graph.other("REPEAT", "hc_init", {Graph::at(one)}, Streams::kWide);
    graph.end_of(graph.block(begin, 0));
    const Nodes found = find(graph, 1);
    EXPECT_EQ(found.at("embed"), -1);
    EXPECT_EQ(found.at("blocks.0.resid_pre"), begin);
}

TEST(SeveralStreams, AreRefusedWhereABlockReadsNoMixture) {
    Streams graph;
    const int begin = graph.begin(graph.tokens());
    const int one = graph.one_of(begin);
    graph.end_of(graph.deal(graph.attention(graph.norm(one, "attn_norm-0"), "-0"), begin, "_attn-0"));
    EXPECT_NE(refusal(graph, 1).find("what is dealt out at 'streams_attn-0' reads no mixture of the several "
                                     "streams before it"),
              std::string::npos)
        << refusal(graph, 1);
}

TEST(SeveralStreams, AreRefusedWhereWhatIsAddedIsNotDealtOut) {
    Streams graph;
    const int streams = graph.block(graph.begin(graph.tokens()), 0);
    const int mixture = graph.mixture(streams, "-1");
    const int wide = graph.add_node(Op::other, "wide-1", {Graph::at(mixture)}, Streams::kWide);
    graph.end_of(graph.add_node(Op::add, "added-1", {Graph::at(streams), Graph::at(wide)}, Streams::kWide));
    const std::string error = refusal(graph, 2);
    EXPECT_NE(error.find("what is added at 'added-1' to several streams is not dealt out to them"),
              std::string::npos)
        << error;
}

TEST(FindSites, FindsTheHeadsBelowAnOutputProjectionOfTwoProducts) {
    Graph graph;
    const int stream = graph.tokens();
    const int heads = graph.heads(graph.norm(stream, "attn_norm-0"), "-0");
    const int turned =
        graph.add_node(Op::other, "turned_back-0", {Graph::at(heads)}, {kWidth / kHeads, kHeads, kTokens, 1});
    const int grouped = graph.add_node(Op::view, "grouped-0", {Graph::at(turned)});
    const int low = graph.add_node(Op::copy, "low-0", {Graph::at(graph.product(grouped, "wo_a-0", 6))},
                                   {6, kTokens, 1, 1});
    const int mid = graph.add(graph.product(low, "attn_out-0"), stream, "ffn_inp-0");
    graph.end(graph.add(graph.mlp(graph.norm(mid, "ffn_norm-0"), "-0"), mid, "l_out-0"));
    const auto sites = find_sites(graph.nodes, kWidth, 1).sites;
    const auto z = std::ranges::find(sites, Site{Component::z, 0}, &SiteNode::site);
    ASSERT_NE(z, sites.end());
    EXPECT_EQ(z->node, turned);
    EXPECT_EQ(z->shape, (std::vector<std::int64_t>{kHeads, kWidth / kHeads}));
}

// Of latent attention the heads' values come out of such a product: the output projection reads them.
TEST(FindSites, TakesAProductOnTheCoreItselfForTheHeadsOwn) {
    Graph graph;
    const int stream = graph.tokens();
    const int core = graph.heads(graph.norm(stream, "attn_norm-0"), "-0");
    const int values = graph.add_node(Op::mul_mat, "values-0", {Graph::weight("wv_b"), Graph::at(core)},
                                      {kWidth / kHeads, kTokens, kHeads, 1});
    const int z = graph.add_node(Op::copy, "z-0", {Graph::at(values)});
    const int mid = graph.add(graph.product(z, "attn_out-0"), stream, "ffn_inp-0");
    graph.end(graph.add(graph.mlp(graph.norm(mid, "ffn_norm-0"), "-0"), mid, "l_out-0"));
    EXPECT_EQ(find(graph, 1).at("blocks.0.z"), z);
}

TEST(FindSites, FindsARouterOfRootsOfSoftplus) {
    Graph graph;
    const int stream = graph.tokens();
    const int mid = graph.add(graph.attention(graph.norm(stream, "attn_norm-0"), "-0"), stream, "ffn_inp-0");
    const int normed = graph.norm(mid, "ffn_norm-0");
    const int plus = graph.add_node(Op::other, "softplus", {Graph::at(graph.product(normed, "gate", 6))},
                                    {6, kTokens, 1, 1});
    graph.nodes.back().kind = "SOFTPLUS";
    const int scores = graph.add_node(Op::other, "ffn_moe_probs-0", {Graph::at(plus)}, {6, kTokens, 1, 1});
    graph.nodes.back().kind = "SQRT";
    const int chosen = graph.add_node(Op::mul_mat_id, "experts-0",
                                      {Graph::weight("up"), Graph::at(normed), Graph::at(scores)});
    graph.end(graph.add(chosen, mid, "l_out-0"));
    EXPECT_EQ(find(graph, 1).at("blocks.0.router"), scores);
}

}  // namespace
}  // namespace tomograph
