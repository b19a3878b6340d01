#include "tomograph/exchange/foreign_site.h"

#include <gtest/gtest.h>

#include <string>

namespace tomograph {
namespace {

std::string meaning(std::string_view name) {
    const auto site = foreign_site(name);
    return site ? site->name() : "";
}

TEST(ForeignSite, KnowsOurOwnNames) {
    EXPECT_EQ(meaning("blocks.6.resid_post"), "blocks.6.resid_post");
    EXPECT_EQ(meaning("embed"), "embed");
}

TEST(ForeignSite, KnowsTheHooksOfTransformerLens) {
    EXPECT_EQ(meaning("hook_embed"), "embed");
    EXPECT_EQ(meaning("hook_pos_embed"), "pos_embed");
    EXPECT_EQ(meaning("blocks.6.hook_resid_pre"), "blocks.6.resid_pre");
    EXPECT_EQ(meaning("blocks.6.hook_resid_mid"), "blocks.6.resid_mid");
    EXPECT_EQ(meaning("blocks.6.hook_resid_post"), "blocks.6.resid_post");
    EXPECT_EQ(meaning("blocks.6.hook_attn_out"), "blocks.6.attn_out");
    EXPECT_EQ(meaning("blocks.6.hook_mlp_out"), "blocks.6.mlp_out");
    EXPECT_EQ(meaning("blocks.16.attn.hook_z"), "blocks.16.z");
    EXPECT_EQ(meaning("blocks.6.ln1.hook_normalized"), "blocks.6.ln1");
    EXPECT_EQ(meaning("blocks.6.ln2.hook_normalized"), "blocks.6.ln2");
    EXPECT_EQ(meaning("ln_final.hook_normalized"), "ln_final");
}

TEST(ForeignSite, CountsHiddenStatesByTheBlocksBeforeThem) {
    EXPECT_EQ(meaning("hidden_states.0"), "blocks.0.resid_pre");
    EXPECT_EQ(meaning("hidden_states.6"), "blocks.5.resid_post");
    EXPECT_EQ(meaning("hidden_states_6"), "blocks.5.resid_post");
    EXPECT_EQ(meaning("hidden_states[6]"), "blocks.5.resid_post");
    EXPECT_EQ(meaning("last_hidden_state"), "ln_final");
}

TEST(ForeignSite, KnowsModulesByTheirOutput) {
    EXPECT_EQ(meaning("model.layers.6"), "blocks.6.resid_post");
    EXPECT_EQ(meaning("model.layers.6.output"), "blocks.6.resid_post");
    EXPECT_EQ(meaning("layers.6.self_attn"), "blocks.6.attn_out");
    EXPECT_EQ(meaning("transformer.h.6.mlp"), "blocks.6.mlp_out");
    EXPECT_EQ(meaning("gpt_neox.layers.6.attention"), "blocks.6.attn_out");
    EXPECT_EQ(meaning("model.layers.6.linear_attn"), "blocks.6.mixer_out");
    EXPECT_EQ(meaning("backbone.layers.6.mixer"), "blocks.6.mixer_out");
    EXPECT_EQ(meaning("model.embed_tokens"), "embed");
    EXPECT_EQ(meaning("transformer.ln_f"), "ln_final");
}

class NoSite : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(ForeignSite, NoSite,
                         testing::Values("", "x", "hidden_states", "hidden_states.", "hidden_states.06",
                                         "hidden_states.-1", "hidden_states.99999999999", "hidden_states[6",
                                         "hidden_states.6.x", "blocks.6", "blocks.6.hook_q",
                                         "blocks.6.attn.hook_pattern", "blocks..hook_z",
                                         "blocks.06.hook_resid_post", "blocks.6hook_resid_post",
                                         "model.layers.6.mlp.down_proj.weight", "model.embed_tokens.weight",
                                         "ln_final.hook_scale", "model.", "layers.2147483647"));
TEST_P(NoSite, IsMeant) {
    EXPECT_EQ(meaning(GetParam()), "");
}

}  // namespace
}  // namespace tomograph
