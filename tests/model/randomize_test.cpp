#include "tomograph/model/randomize.h"

#include <gtest/gtest.h>

#include "support/errors.h"
#include "support/golden.h"
#include "support/record.h"
#include "support/temp_folder.h"
#include "tomograph/base/file.h"
#include "tomograph/model/model.h"
#include "tomograph/model/quantize.h"

namespace tomograph {
namespace {

using test::error_of;
using test::TempFolder;

TEST(Randomize, KeepsArchitectureTypesAndTokenizer) {
    const TempFolder folder;
    for (const std::string& name : embedded_models()) {
        const RandomizeSummary summary = randomize(name, folder / "twin.gguf");
        const Model original = Model::open(name), twin = Model::open((folder / "twin.gguf").string());
        EXPECT_TRUE(summary.widened.empty());
        EXPECT_EQ(twin.info().architecture, original.info().architecture);
        EXPECT_EQ(twin.info().type, original.info().type);
        EXPECT_EQ(twin.info().n_parameters, original.info().n_parameters);
        EXPECT_EQ(twin.info().name, name + " (random twin)");
        EXPECT_EQ(twin.vocabulary().tokenize("Call me"), original.vocabulary().tokenize("Call me"));
        const Matrix a = original.token_embeddings({0, 65, 97, 200}),
                     b = twin.token_embeddings({0, 65, 97, 200});
        EXPECT_NEAR(b.norm() / a.norm(), 1, 0.3) << "the same scale";
        EXPECT_LT(std::abs(a.cwiseProduct(b).sum()) / (a.norm() * b.norm()), 0.3) << "other values";
    }
}

TEST(Randomize, BytesDependOnTheSeedOnly) {
    const TempFolder folder;
    randomize("bytes-llama", folder / "a.gguf", {.seed = 1, .threads = 1});
    randomize("bytes-llama", folder / "b.gguf", {.seed = 1, .threads = 3});
    randomize("bytes-llama", folder / "c.gguf", {.seed = 2});
    EXPECT_EQ(read_file(folder / "a.gguf"), read_file(folder / "b.gguf"));
    EXPECT_NE(read_file(folder / "a.gguf"), read_file(folder / "c.gguf"));
}

TEST(Randomize, QuantisedTypesAreWrittenAgain) {
    const TempFolder folder;
    quantize("bytes-gpt2", folder / "q4.gguf", "q4_0", 1);
    randomize((folder / "q4.gguf").string(), folder / "twin.gguf");
    EXPECT_EQ(Model::open((folder / "twin.gguf").string()).info().type, "Q4_0");
}

TEST(Randomize, RefusesItsOwnInputAndMissingOnes) {
    const TempFolder folder;
    randomize("bytes-gpt2", folder / "a.gguf");
    EXPECT_NE(
        error_of([&] { randomize((folder / "a.gguf").string(), folder / "a.gguf"); }).find("onto itself"),
        std::string::npos);
    EXPECT_NE(
        error_of([&] { randomize((folder / "none.gguf").string(), folder / "b.gguf"); }).find("no such file"),
        std::string::npos);
    EXPECT_EQ(folder.n_files(), 1u);
}

/// What the first block's attention adds for the last of some tokens.
Matrix last_attention(const Model& model, const std::vector<std::int32_t>& tokens, bool rope_off) {
    const auto engine =
        model.make_engine({.max_length = 16, .exact = true, .rope_off = rope_off, .threads = 1});
    const std::vector<Sequence> batch{{.tokens = tokens}};
    const Matrix attention = test::record(*engine, batch).at("blocks.0.attn_out");
    return attention.bottomRows(1);
}

TEST(RopeOff, MakesTheOrderOfEarlierTokensNoMatter) {
    const Model model = Model::open("bytes-llama");
    const std::vector<std::int32_t> tokens{72, 101, 108, 112, 33}, swapped{108, 72, 112, 101, 33};
    EXPECT_LT(test::row_error(last_attention(model, swapped, true), last_attention(model, tokens, true)),
              1e-5);
    EXPECT_GT(test::row_error(last_attention(model, swapped, false), last_attention(model, tokens, false)),
              1e-2);
}

TEST(RopeOff, IsRefusedWithoutRotation) {
    const Model model = Model::open("bytes-gpt2");
    EXPECT_NE(error_of([&] {
                  model.make_engine({.max_length = 64, .rope_off = true});
              }).find("it has no rotary positions"),
              std::string::npos);
}

TEST(RopeOff, IsRefusedWithSlidingWindows) {
    const Model model = Model::open(test::golden_model("gemma2"));
    EXPECT_NE(error_of([&] {
                  model.make_engine({.max_length = 16, .rope_off = true});
              }).find("its sliding-window layers rotate by a scale of their own"),
              std::string::npos);
}

}  // namespace
}  // namespace tomograph
