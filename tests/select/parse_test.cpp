#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/errors.h"
#include "tomograph/select/selection.h"

namespace tomograph {
namespace {

using namespace test;
using Components = std::vector<Component>;

TEST(ParseNormalize, KnowsItsWords) {
    EXPECT_EQ(parse_normalize("none"), Normalize::none);
    EXPECT_EQ(parse_normalize("unit"), Normalize::unit);
    EXPECT_EQ(parse_normalize("layernorm"), Normalize::layernorm);
}
TEST(ParseNormalize, NamesThemToAnyOther) {
    EXPECT_EQ(error_of([] { parse_normalize("Unit"); }),
              "cannot normalize by 'Unit'; use none, unit or layernorm");
}

TEST(ParseLayerOrder, KnowsItsWords) {
    EXPECT_EQ(parse_layer_order("given"), LayerOrder::given);
    EXPECT_EQ(parse_layer_order("reversed"), LayerOrder::reversed);
    EXPECT_EQ(parse_layer_order("random"), LayerOrder::random);
}
TEST(ParseLayerOrder, NamesThemToAnyOther) {
    EXPECT_EQ(error_of([] { parse_layer_order(""); }),
              "no layer order ''; use given, reversed, swapped or random");
}

TEST(ParseMeans, TakesSeveral) {
    Selection selection;
    parse_means("layers,samples", selection);
    EXPECT_TRUE(selection.mean_layers && selection.mean_samples && !selection.mean_positions);
    EXPECT_FALSE(selection.mean_components);
    parse_means("components", selection);
    EXPECT_TRUE(selection.mean_components);
    EXPECT_EQ(selection.json().at("mean"), Json::parse(R"(["samples", "layers", "components"])"));
}
TEST(ParseMeans, TakesNone) {
    Selection selection;
    parse_means("", selection);
    EXPECT_FALSE(selection.averages());
}
TEST(ParseMeans, NamesTheWordsThereAre) {
    Selection selection;
    EXPECT_EQ(
        error_of([&] { parse_means("samples,heads", selection); }),
        "cannot average over 'heads'; use samples, positions, layers or components, separated by commas");
}

TEST(ParseComponents, TakesSeveral) {
    EXPECT_EQ(parse_components("attn_out,embed"), (Components{Component::attn_out, Component::embed}));
}
TEST(ParseComponents, TakesNone) {
    EXPECT_EQ(parse_components(""), Components{});
}
TEST(ParseComponents, RefusesCommasWithoutAWord) {
    EXPECT_EQ(error_of([] { parse_components(",,"); }), "',,' names no component");
}
TEST(ParseComponents, NamesTheOnesThereAre) {
    EXPECT_EQ(error_of([] { parse_components("attn_out,soul"); }),
              "no component 'soul': there are embed, pos_embed, resid_pre, attn_hc_pre, attn_depth, attn_in, "
              "ln1, z, "
              "state, attn_out, mixer_out, cross_ln, cross_z, cross_attn_out, attn_hc_comb, attn_hc_post, "
              "resid_mid, mlp_hc_pre, mlp_depth, mlp_in, ln2, router, mlp_out, moe_out, ple_out, skip_out, "
              "mlp_hc_comb, mlp_hc_post, resid_post, ln_final");
}

TEST(SelectionJson, SaysEverything) {
    Selection selection;
    selection.components = {Component::mlp_out};
    selection.layers = {2, 9};
    selection.positions = {1, {}};
    selection.labels = {"context"};
    selection.normalize = Normalize::layernorm;
    selection.mean_samples = selection.mean_layers = true;
    selection.rows = 10;
    selection.seed = 7;
    selection.layer_order = LayerOrder::random;
    EXPECT_EQ(selection.json(), Json::parse(R"({"components": ["mlp_out"], "layers": "2:9", "positions": "1:",
        "sequences": "0:", "labels": ["context"], "normalize": "layernorm", "mean": ["samples", "layers"],
        "rows": 10, "sample": "tokens", "seed": 7, "layer_order": "random"})"));
}

}  // namespace
}  // namespace tomograph
