// Attention residuals: the stream is put aside now and then, and blocks read all of those besides it.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "model/graph_sketch.h"

namespace tomograph {
namespace {

using namespace test;

class Kept : public Graph {
  public:
    int other(const std::string& kind, const std::string& name, std::vector<GraphNode::Source> sources,
              std::array<std::int64_t, 4> shape = {kWidth, kTokens, 1, 1}) {
        const int index = add_node(Op::other, name, std::move(sources), shape);
        nodes.back().kind = kind;
        return index;
    }
    void put_aside(int stream) {
        const int one = add_node(Op::view, "one", {at(stream)}, {kWidth, 1, kTokens, 1});
        ++n_kept;
        stack =
            n_kept == 1 ? one : other("CONCAT", "stack", {at(stack), at(one)}, {kWidth, n_kept, kTokens, 1});
    }
    int mixture(int stream, const std::string& name) {
        if (n_kept == 0) return stream;
        const int scores =
            add_node(Op::other, "scores", {at(stack), at(stream)}, {n_kept + 1, kTokens, 1, 1});
        const int probs = add_node(Op::soft_max, "probs_" + name, {at(scores)}, {n_kept + 1, kTokens, 1, 1});
        const auto part = [&](std::int64_t n) {
            const int view = add_node(Op::view, "view", {at(probs)}, {n, kTokens, 1, 1});
            return add_node(Op::copy, "part", {at(view)}, {n, kTokens, 1, 1});
        };
        const int of_kept = other("DSV4_HC_PRE", "of_kept", {at(stack), at(part(n_kept))});
        return add(of_kept, add_node(Op::mul, "own", {at(stream), at(part(1))}), name);
    }
    int block(int stream, int layer, bool puts_aside) {
        const std::string n = "-" + std::to_string(layer);
        const int read = mixture(stream, "attn_in" + n);
        if (puts_aside) put_aside(stream);
        const int attention = this->attention(norm(read, "attn_norm" + n), n);
        const int mid = puts_aside ? attention : add(stream, attention, "mid" + n);
        return add(mid, mlp(norm(mixture(mid, "mlp_in" + n), "ffn_norm" + n), n), "l_out" + n);
    }
    void end_of(int stream) { end(mixture(stream, "end")); }

    int stack = -1;
    std::int64_t n_kept = 0;
};

/// Three layers, of which the first and the last put their stream aside.
Kept three_layers() {
    Kept graph;
    int stream = graph.tokens();
    for (const int layer : {0, 1, 2}) stream = graph.block(stream, layer, layer != 1);
    graph.end_of(stream);
    return graph;
}

TEST(KeptStreams, GiveEverySiteOfABlock) {
    const Kept graph = three_layers();
    const Nodes found = find(graph, 3);
    EXPECT_FALSE(found.contains("blocks.0.attn_in"));
    const std::map<std::string, std::string> names{{"embed", "inp_embd"},
                                                   {"blocks.0.resid_pre", "inp_embd"},
                                                   {"blocks.0.ln1", "attn_norm-0"},
                                                   {"blocks.0.attn_out", "attn_out-0"},
                                                   {"blocks.0.resid_mid", "attn_out-0"},
                                                   {"blocks.0.mlp_in", "mlp_in-0"},
                                                   {"blocks.0.mlp_depth", "probs_mlp_in-0"},
                                                   {"blocks.1.resid_pre", "l_out-0"},
                                                   {"blocks.1.attn_in", "attn_in-1"},
                                                   {"blocks.1.ln1", "attn_norm-1"},
                                                   {"blocks.1.z", "kqv_out-1"},
                                                   {"blocks.1.attn_out", "attn_out-1"},
                                                   {"blocks.1.resid_mid", "mid-1"},
                                                   {"blocks.1.ln2", "ffn_norm-1"},
                                                   {"blocks.1.mlp_out", "ffn_out-1"},
                                                   {"blocks.1.resid_post", "l_out-1"},
                                                   {"blocks.2.resid_mid", "attn_out-2"},
                                                   {"ln_final", "result_norm"}};
    for (const auto& [site, node] : names) EXPECT_EQ(found.at(site), graph.named(node)) << site;
}

TEST(KeptStreams, AddUpByTheirWeights) {
    const FoundSites found = find_sites(three_layers().nodes, kWidth, 3);
    std::string text;
    for (const SiteSum& sum : found.sums) {
        text += sum.sum.name() + " =";
        for (const SiteSum::Part& part : sum.parts) {
            text += " " + part.site.name();
            if (part.mix)
                text += "*" + part.mix->weights.name() + "[" + std::to_string(part.mix->first) + "]";
        }
        text += "\n";
    }
    EXPECT_EQ(
        text,
        "blocks.0.resid_mid = blocks.0.attn_out\n"
        "blocks.0.mlp_in = blocks.0.resid_mid*blocks.0.mlp_depth[1] "
        "blocks.0.resid_pre*blocks.0.mlp_depth[0]\n"
        "blocks.0.resid_post = blocks.0.resid_mid blocks.0.mlp_out\n"
        "blocks.1.attn_in = blocks.1.resid_pre*blocks.1.attn_depth[1] "
        "blocks.0.resid_pre*blocks.1.attn_depth[0]\n"
        "blocks.1.resid_mid = blocks.1.resid_pre blocks.1.attn_out\n"
        "blocks.1.mlp_in = blocks.1.resid_mid*blocks.1.mlp_depth[1] "
        "blocks.0.resid_pre*blocks.1.mlp_depth[0]\n"
        "blocks.1.resid_post = blocks.1.resid_mid blocks.1.mlp_out\n"
        "blocks.2.attn_in = blocks.2.resid_pre*blocks.2.attn_depth[1] "
        "blocks.0.resid_pre*blocks.2.attn_depth[0]\n"
        "blocks.2.resid_mid = blocks.2.attn_out\n"
        "blocks.2.mlp_in = blocks.2.resid_mid*blocks.2.mlp_depth[2] blocks.0.resid_pre*blocks.2.mlp_depth[0] "
        "blocks.2.resid_pre*blocks.2.mlp_depth[1]\n"
        "blocks.2.resid_post = blocks.2.resid_mid blocks.2.mlp_out\n");
}

TEST(KeptStreams, AreRefusedWhereOneIsLeftBehind) {
    Kept graph;
    const int stream = graph.block(graph.tokens(), 0, true);
    const int anew = graph.attention(graph.norm(graph.mixture(stream, "attn_in-1"), "attn_norm-1"), "-1");
    graph.end_of(
        graph.add(anew, graph.mlp(graph.norm(graph.mixture(anew, "mlp_in-1"), "n"), "-1"), "l_out-1"));
    EXPECT_NE(
        refusal(graph, 2).find("the stream begins anew at 'attn_out-1', and the one before is not put aside"),
        std::string::npos)
        << refusal(graph, 2);
}

}  // namespace
}  // namespace tomograph
