#include "tomograph/words/site.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace tomograph {
namespace {

// File formats and command lines speak these names: a change here breaks old run folders.
TEST(Component, NamesArePinnedInNetworkOrder) {
    std::vector<std::string> names;
    for (const Component component : all_components()) names.emplace_back(component_name(component));
    EXPECT_EQ(names, (std::vector<std::string>{
                         "embed",        "pos_embed",   "resid_pre",   "attn_hc_pre",    "attn_depth",
                         "attn_in",      "ln1",         "z",           "state",          "attn_out",
                         "mixer_out",    "cross_ln",    "cross_z",     "cross_attn_out", "attn_hc_comb",
                         "attn_hc_post", "resid_mid",   "mlp_hc_pre",  "mlp_depth",      "mlp_in",
                         "ln2",          "router",      "mlp_out",     "moe_out",        "ple_out",
                         "skip_out",     "mlp_hc_comb", "mlp_hc_post", "resid_post",     "ln_final"}));
}

TEST(Component, WritesToTheStreamWhereItIsAddedToIt) {
    std::vector<std::string> names;
    for (const Component component : all_components())
        if (writes_to_stream(component)) names.emplace_back(component_name(component));
    EXPECT_EQ(names, (std::vector<std::string>{"attn_out", "mixer_out", "cross_attn_out", "mlp_out",
                                               "moe_out", "ple_out", "skip_out"}));
}

TEST(Component, IsTheStreamItselfWithinABlock) {
    std::vector<std::string> names;
    for (const Component component : all_components())
        if (is_stream(component)) names.emplace_back(component_name(component));
    EXPECT_EQ(names, (std::vector<std::string>{"resid_pre", "resid_mid", "resid_post"}));
}

TEST(Component, IsFoundByItsName) {
    for (const Component component : all_components())
        EXPECT_EQ(find_component(component_name(component)), component);
}

TEST(Component, IsNotFoundByAPrefixOfItsName) {
    EXPECT_EQ(find_component("resid"), std::nullopt);
}

TEST(Component, IsNotFoundByAnotherCase) {
    EXPECT_EQ(find_component("MLP_out"), std::nullopt);
}

TEST(Component, LiesOutsideBlocksForEmbeddingsAndTheLastNorm) {
    std::vector<Component> outside;
    std::ranges::copy_if(all_components(), std::back_inserter(outside),
                         [](Component c) { return !in_block(c); });
    EXPECT_EQ(outside, (std::vector<Component>{Component::embed, Component::pos_embed, Component::ln_final}));
}

TEST(Site, InABlockIsNamedByItsLayer) {
    EXPECT_EQ((Site{Component::attn_out, 6}.name()), "blocks.6.attn_out");
}

TEST(Site, OutsideBlocksIsNamedBare) {
    EXPECT_EQ((Site{Component::ln_final, -1}.name()), "ln_final");
}

TEST(ParseSite, ReadsEveryNameBack) {
    for (const Component component : all_components()) {
        const Site site{component, in_block(component) ? 12 : -1};
        EXPECT_EQ(parse_site(site.name()), site);
    }
}

class MalformedSite : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(ParseSite, MalformedSite,
                         testing::Values("", "blocks", "blocks.", "blocks.1", "blocks.1.", "blocks..z",
                                         "blocks.-1.z", "blocks.+1.z", "blocks. 1.z", "blocks.1x.z",
                                         "blocks.1.zz", "blocks.1.Z", "blocks.1.z ", " blocks.1.z",
                                         "blocks.99999999999.z", "Blocks.1.z", "z", "resid_pre",
                                         "blocks.0.embed", "blocks.0.ln_final", "blocks.1.blocks.1.z",
                                         "blocks.01.z"));

TEST_P(MalformedSite, IsRefused) {
    EXPECT_EQ(parse_site(GetParam()), std::nullopt);
}

TEST(NetworkOrder, PutsEmbeddingsBeforeBlocksAndTheLastNormAfterThem) {
    std::vector<Site> sites{{Component::ln_final, -1},  {Component::ln1, 1},      {Component::resid_post, 0},
                            {Component::pos_embed, -1}, {Component::mlp_out, 10}, {Component::embed, -1},
                            {Component::z, 0},          {Component::attn_out, 2}};
    std::ranges::sort(sites, network_order);
    std::vector<std::string> names;
    for (const Site& site : sites) names.push_back(site.name());
    EXPECT_EQ(names, (std::vector<std::string>{"embed", "pos_embed", "blocks.0.z", "blocks.0.resid_post",
                                               "blocks.1.ln1", "blocks.2.attn_out", "blocks.10.mlp_out",
                                               "ln_final"}));
}

TEST(NetworkOrder, IsStrict) {
    const Site site{Component::z, 3};
    EXPECT_FALSE(network_order(site, site));
}

}  // namespace
}  // namespace tomograph
