#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/errors.h"
#include "tomograph/sources/hub.h"

namespace tomograph {
namespace {

using namespace test;
using Files = std::vector<std::string>;

TEST(HubName, HasARepositoryARevisionAndAFile) {
    const HubName name = parse_hub_name("hf:org/a.model-1@v1:dir/x.gguf");
    EXPECT_EQ(name.repository, "org/a.model-1");
    EXPECT_EQ(name.revision, "v1");
    EXPECT_EQ(name.file, "dir/x.gguf");
}

TEST(HubName, IsOfMainWithoutARevision) {
    EXPECT_EQ(parse_hub_name("hf:org/m").revision, "main");
}

class NoHubName : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(HubName, NoHubName,
                         testing::Values("hf:", "hf:m", "hf:org/", "hf:a/b/c", "hf:../x",
                                         "hf:org/m:", "hf:org/m@", "hf:org/m:../../x.gguf", "hf:org/m x"));
TEST_P(NoHubName, IsRefused) {
    EXPECT_EQ(error_of([] { parse_hub_name(GetParam()); }),
              std::string("no name of a model on a hub: ") + GetParam() +
                  "; write hf:org/name, hf:org/name:FILE.gguf or hf:org/name:Q4_K_M");
}

const Files kFiles{"README.md",
                   "config.json",
                   "m-IQ4_XS.gguf",
                   "m-Q4_K_M.gguf",
                   "m-Q4_K_S.gguf",
                   "m.Q8_0.gguf",
                   "mmproj-m-f16.gguf",
                   "BF16/m-BF16-00001-of-00002.gguf",
                   "BF16/m-BF16-00002-of-00002.gguf"};

TEST(ChooseGguf, GoesByTheTypeInSmallLettersToo) {
    EXPECT_EQ(choose_gguf(kFiles, "q4_k_m", "hf:o/m"), Files{"m-Q4_K_M.gguf"});
}

TEST(ChooseGguf, GoesByTheFile) {
    EXPECT_EQ(choose_gguf(kFiles, "m.Q8_0.gguf", "hf:o/m"), Files{"m.Q8_0.gguf"});
}

TEST(ChooseGguf, TakesAllParts) {
    EXPECT_EQ(choose_gguf(kFiles, "bf16", "hf:o/m"),
              (Files{"BF16/m-BF16-00001-of-00002.gguf", "BF16/m-BF16-00002-of-00002.gguf"}));
}

TEST(ChooseGguf, TakesATypeWholeNotItsEnd) {
    EXPECT_EQ(error_of([] { choose_gguf({"m-XQ8_0.gguf", "n-Q4_0.gguf"}, "Q8_0", "hf:o/m"); }),
              "hf:o/m has no GGUF file 'Q8_0': it has m-XQ8_0.gguf, n-Q4_0.gguf");
}

TEST(ChooseGguf, TakesTheOnlyOneWithoutAWord) {
    EXPECT_EQ(choose_gguf({"x.gguf", "mmproj-x.gguf"}, "", "hf:o/m"), Files{"x.gguf"});
}

TEST(ChooseGguf, AsksWhichWhereThereAreSeveral) {
    EXPECT_EQ(error_of([] { choose_gguf(kFiles, "", "hf:o/m"); }),
              "hf:o/m has 5 GGUF models: BF16/m-BF16-00001-of-00002.gguf, m-IQ4_XS.gguf, m-Q4_K_M.gguf, "
              "m-Q4_K_S.gguf, m.Q8_0.gguf; say which: hf:o/m:FILE");
}

TEST(ChooseGguf, SaysThatThereIsOnlyAFolder) {
    EXPECT_EQ(error_of([] { choose_gguf({"config.json", "model.safetensors"}, "", "hf:o/m"); }),
              "hf:o/m has no GGUF file: it holds a model folder of Hugging Face; download the folder and "
              "convert it: "
              "tomograph convert FOLDER --out FILE.gguf");
}

}  // namespace
}  // namespace tomograph
