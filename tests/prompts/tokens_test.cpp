// One token repeated, every token alone, positions only.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "support/errors.h"
#include "support/start_token.h"
#include "support/temp_folder.h"
#include "tomograph/model/model.h"
#include "tomograph/prompts/prompts.h"

namespace tomograph {
namespace {

using namespace test;
using Tokens = std::vector<std::int32_t>;
using Prefix = RepeatOptions::Prefix;

// A start token inside
// -------------------------------------------------------------------------------------------------------------

TEST(PlantStart, StandsInPlaceOfAToken) {
    const TempFolder folder;
    const Model model = Model::open(with_start_token(folder, "llama", 7).string());
    PromptSet text = text_prompts(model.vocabulary(), {.sequences = 2, .length = 8});
    const PromptSet planted = plant_start(text, model.vocabulary(), 4);
    ASSERT_EQ(planted.sequences.size(), 2u);
    for (std::size_t s = 0; s < 2; ++s) {
        Tokens want = text.sequences[s].tokens;
        want[4] = 7;
        EXPECT_EQ(planted.sequences[s].tokens, want);
    }
    EXPECT_EQ(planted.description.at("planted"), Json::parse(R"({"token": 7, "position": 4})"));
    EXPECT_EQ(
        error_of([&] { plant_start(text, model.vocabulary(), 8); }),
        "no start token can stand at position 8: the first is its usual place, and a sequence has 8 tokens; "
        "choose one inside all sequences");
    EXPECT_NE(error_of([&] { plant_start(text, model.vocabulary(), 0); }), "");
}

TEST(PlantStart, NeedsAStartToken) {
    const Model model = Model::open("bytes-gpt2");
    EXPECT_NE(error_of([&] {
                  plant_start(text_prompts(model.vocabulary(), {.sequences = 1, .length = 8}),
                              model.vocabulary(), 4);
              }).find("has no start token"),
              std::string::npos);
}

// Repeat
// -------------------------------------------------------------------------------------------------------------

class RepeatPrompts : public testing::Test {
  protected:
    std::string error(const RepeatOptions& options) const {
        return error_of([&] { repeat_prompts(model_.vocabulary(), options); });
    }
    Tokens tokens(const RepeatOptions& options) const {
        return repeat_prompts(model_.vocabulary(), options).sequences.at(0).tokens;
    }
    Model model_ = Model::open("bytes-gpt2");
};

TEST_F(RepeatPrompts, RepeatAToken) {
    EXPECT_EQ(tokens({.token = 65, .length = 3}), (Tokens{65, 65, 65}));
}

TEST_F(RepeatPrompts, RepeatAWord) {
    EXPECT_EQ(tokens({.word = "A", .length = 2}), (Tokens{65, 65}));
}

TEST_F(RepeatPrompts, RepeatASpace) {
    EXPECT_EQ(tokens({.word = " ", .length = 2}), (Tokens{32, 32}));
}

TEST_F(RepeatPrompts, RepeatTheTokenNumberedZero) {
    EXPECT_EQ(tokens({.token = 0, .length = 2}), (Tokens{0, 0}));
}

TEST_F(RepeatPrompts, AreOneSequence) {
    EXPECT_EQ(repeat_prompts(model_.vocabulary(), {.token = 65, .length = 3}).sequences.size(), 1u);
}

TEST_F(RepeatPrompts, AreDescribed) {
    const Json description = repeat_prompts(model_.vocabulary(), {.token = 65, .length = 3}).description;
    EXPECT_EQ(description.at("kind"), "repeat");
    EXPECT_EQ(description.at("token"), 65);
    EXPECT_EQ(description.at("piece"), "A");
    EXPECT_EQ(description.at("prefix"), nullptr);
    EXPECT_EQ(description.at("length"), 3);
}

TEST_F(RepeatPrompts, DescribeAPieceThatIsNotUtf8) {
    EXPECT_EQ(repeat_prompts(model_.vocabulary(), {.token = 255, .length = 3}).description.at("piece"),
              Json::array({255}));
}

TEST_F(RepeatPrompts, RefuseAWordOfSeveralTokens) {
    EXPECT_EQ(error({.word = "ab"}),
              "'ab' is 2 tokens for bytes-gpt2: 'a' (97), 'b' (98); give one of them by --token ID");
}

TEST_F(RepeatPrompts, ShowALineBreakWithoutBreakingTheLine) {
    EXPECT_EQ(error({.word = "a\n"}),
              "'a\\n' is 2 tokens for bytes-gpt2: 'a' (97), '\\n' (10); give one of them by --token ID");
}

TEST_F(RepeatPrompts, ShowHalfACharacterInUtf8) {
    EXPECT_EQ(error({.word = "\xc3\xa9"}),
              "'\xc3\xa9' is 2 tokens for bytes-gpt2: '\\xc3' (195), '\\xa9' (169); give one of them by "
              "--token ID");
}

TEST_F(RepeatPrompts, RefuseNoToken) {
    EXPECT_EQ(error({}), "no token to repeat; give --token ID or --word TEXT");
}

TEST_F(RepeatPrompts, RefuseATokenPastTheVocabulary) {
    EXPECT_EQ(error({.token = 256, .length = 8}), "no token 256: bytes-gpt2 has tokens 0 to 255");
}

TEST_F(RepeatPrompts, RefuseANegativeToken) {
    EXPECT_EQ(error({.token = -1, .length = 8}), "no token -1: bytes-gpt2 has tokens 0 to 255");
}

TEST_F(RepeatPrompts, RefuseALengthOfNothing) {
    EXPECT_EQ(error({.token = 5, .length = 0}),
              "length 0 leaves no room for the token; use a longer --length");
}

TEST_F(RepeatPrompts, RefuseALengthAboveALearnedTable) {
    EXPECT_EQ(
        error({.token = 5, .length = 129}),
        "length 129 is above the context of bytes-gpt2: its position table has 128 rows; use --length 128 or "
        "less");
}

TEST_F(RepeatPrompts, PutATokenBefore) {
    EXPECT_EQ(tokens({.token = 65, .length = 3, .prefix = Prefix::token, .prefix_token = 9}),
              (Tokens{9, 65, 65}));
}

TEST_F(RepeatPrompts, DescribeThePrefix) {
    const RepeatOptions options{.token = 65, .length = 3, .prefix = Prefix::token, .prefix_token = 9};
    EXPECT_EQ(repeat_prompts(model_.vocabulary(), options).description.at("prefix"), 9);
}

TEST_F(RepeatPrompts, RefuseAPrefixPastTheVocabulary) {
    EXPECT_EQ(error({.token = 65, .length = 3, .prefix = Prefix::token, .prefix_token = 256}),
              "no token 256: bytes-gpt2 has tokens 0 to 255");
}

TEST_F(RepeatPrompts, NeedRoomBehindThePrefix) {
    EXPECT_EQ(error({.token = 65, .length = 1, .prefix = Prefix::token, .prefix_token = 9}),
              "length 1 leaves no room for the token; use a longer --length");
}

TEST_F(RepeatPrompts, HaveNoStartTokenToPutBefore) {
    EXPECT_EQ(error({.token = 65, .length = 3, .prefix = Prefix::start}),
              "bytes-gpt2 has no start token; use --prefix none or --prefix ID");
}

class RepeatAfterAStart : public testing::Test {
  protected:
    PromptSet repeat(Prefix prefix, bool adds_it) const {
        const Model model = Model::open(with_start_token(folder_, "llama", 7, adds_it).string());
        return repeat_prompts(model.vocabulary(), {.token = 65, .length = 3, .prefix = prefix});
    }
    TempFolder folder_;
};

TEST_F(RepeatAfterAStart, BeginsAsTheModelSays) {
    EXPECT_EQ(repeat(Prefix::model, true).sequences[0].tokens, (Tokens{7, 65, 65}));
    EXPECT_EQ(repeat(Prefix::model, true).description.at("start_token"), 7);
}
TEST_F(RepeatAfterAStart, BeginsWithNoneWhereTheModelAddsNone) {
    EXPECT_EQ(repeat(Prefix::model, false).sequences[0].tokens, (Tokens{65, 65, 65}));
}
TEST_F(RepeatAfterAStart, BeginsWithItOnRequest) {
    EXPECT_EQ(repeat(Prefix::start, false).sequences[0].tokens, (Tokens{7, 65, 65}));
}
TEST_F(RepeatAfterAStart, BeginsWithoutItOnRequest) {
    EXPECT_EQ(repeat(Prefix::none, true).sequences[0].tokens, (Tokens{65, 65, 65}));
}

TEST(SingleToken, IsTheWordsId) {
    EXPECT_EQ(single_token(Model::open("bytes-gpt2").vocabulary(), "w"), 'w');
}

// Vocabulary
// -------------------------------------------------------------------------------------------------------------

class VocabularyPrompts : public testing::Test {
  protected:
    PromptSet take(std::int64_t rows, std::uint64_t seed = 42) const {
        return vocabulary_prompts(model_.vocabulary(), {.rows = rows, .seed = seed});
    }
    static Tokens tokens_of(const PromptSet& set) {
        Tokens tokens;
        for (const Sequence& sequence : set.sequences) tokens.push_back(sequence.tokens.back());
        return tokens;
    }
    Model model_ = Model::open("bytes-llama");
};

TEST_F(VocabularyPrompts, AreEveryTokenAlone) {
    const PromptSet set = take(0);
    ASSERT_EQ(set.sequences.size(), 256u);
    for (std::int32_t token = 0; token < 256; ++token)
        EXPECT_EQ(set.sequences[static_cast<std::size_t>(token)].tokens, Tokens{token});
}

TEST_F(VocabularyPrompts, MayBeSomeTokens) {
    const Tokens tokens = tokens_of(take(20));
    EXPECT_EQ(std::set<std::int32_t>(tokens.begin(), tokens.end()).size(), 20u);
    EXPECT_TRUE(std::ranges::is_sorted(tokens));
}

TEST_F(VocabularyPrompts, AreTheSameByTheSameSeed) {
    EXPECT_EQ(tokens_of(take(20, 5)), tokens_of(take(20, 5)));
}

TEST_F(VocabularyPrompts, AreOthersByAnotherSeed) {
    EXPECT_NE(tokens_of(take(20, 5)), tokens_of(take(20, 6)));
}

TEST_F(VocabularyPrompts, AreAllWhereMoreAreAskedFor) {
    const PromptSet set = take(300);
    EXPECT_EQ(set.sequences.size(), 256u);
    EXPECT_EQ(set.notes, std::vector<std::string>{"256 tokens instead of 300: the vocabulary has no more"});
}

TEST_F(VocabularyPrompts, AreDescribed) {
    const Json description = take(20).description;
    EXPECT_EQ(description.at("kind"), "vocabulary");
    EXPECT_EQ(description.at("vocabulary"), 256);
    EXPECT_EQ(description.at("sequences"), 20);
    EXPECT_EQ(description.at("length"), 1);
}

TEST_F(VocabularyPrompts, RefuseANegativeNumber) {
    EXPECT_EQ(error_of([&] { take(-3); }), "-3 rows were asked for; use --rows 1 or more");
}

TEST_F(VocabularyPrompts, StandBehindAStartToken) {
    const TempFolder folder;
    const Model model = Model::open(with_start_token(folder, "llama", 7).string());
    EXPECT_EQ(vocabulary_prompts(model.vocabulary(), {}).sequences.at(40).tokens, (Tokens{7, 40}));
}

// Positions
// -------------------------------------------------------------------------------------------------------------

TEST(LearnedPositions, AreZeroVectors) {
    const PromptSet set = positions_prompts(Model::open("bytes-gpt2"), {.length = 9});
    ASSERT_EQ(set.sequences.size(), 1u);
    EXPECT_EQ(set.sequences[0].tokens, Tokens(9, -1));
    EXPECT_EQ(set.sequences[0].vectors, std::vector<float>(9 * 128, 0.0f));
}

TEST(RandomPositions, AreNotMoreThanCanBeRead) {
    EXPECT_EQ(error_of([] {
                  positions_prompts(Model::open("bytes-llama"),
                                    {.length = 8, .sequences = 1'000'000'000'000});
              }),
              "1000000000000 sequences of 8 random tokens cannot be read: at most 268435456 tokens are; use "
              "--sequences 33554432 or less");
}

TEST(LearnedPositions, KeepEverythingInTheMeans) {
    EXPECT_EQ(positions_prompts(Model::open("bytes-gpt2"), {.length = 9}).label_outside_means, -1);
}

TEST(LearnedPositions, HaveNoLengthAboveTheirTable) {
    EXPECT_EQ(
        error_of([&] {
            positions_prompts(Model::open("bytes-gpt2"),
                              {.length = std::numeric_limits<std::int64_t>::max()});
        }),
        "length 9223372036854775807 is above the context of bytes-gpt2: its position table has 128 rows; use "
        "--length 128 or less");
}

class RotaryPositions : public testing::Test {
  protected:
    PromptSet make(std::uint64_t seed = 42) const {
        return positions_prompts(model_, {.length = 9, .sequences = 4, .seed = seed});
    }
    Model model_ = Model::open("bytes-llama");
};

TEST_F(RotaryPositions, AreRandomTokensThenTheMeanEmbedding) {
    EXPECT_EQ(make().sequences.size(), 5u);
    EXPECT_EQ(make().labels, (std::vector<std::string>{"random tokens", "mean embedding"}));
}

TEST_F(RotaryPositions, AreTokensOfTheVocabulary) {
    const PromptSet set = make();
    for (const Sequence& sequence : std::span(set.sequences).first(4)) {
        EXPECT_EQ(sequence.length(), 9);
        EXPECT_EQ(sequence.labels, Tokens(9, 0));
        for (const std::int32_t token : sequence.tokens) EXPECT_TRUE(token >= 0 && token < 256) << token;
    }
}

TEST_F(RotaryPositions, AreNotTheSameInEverySequence) {
    const PromptSet set = make();
    EXPECT_NE(set.sequences[0].tokens, set.sequences[1].tokens);
}

TEST_F(RotaryPositions, AreTheSameByTheSameSeed) {
    EXPECT_EQ(make(3).sequences[2].tokens, make(3).sequences[2].tokens);
}

TEST_F(RotaryPositions, AreOthersByAnotherSeed) {
    EXPECT_NE(make(3).sequences[2].tokens, make(4).sequences[2].tokens);
}

TEST_F(RotaryPositions, EndWithTheMeanEmbeddingBehindAnotherVector) {
    const Sequence constant = make().sequences.back();
    const MatrixView rows(constant.vectors.data(), 9, 128);
    EXPECT_EQ(Matrix(rows.topRows(1)), model_.token_embeddings({0}));
    const Vector mean = model_.mean_token_embedding();
    for (Eigen::Index row = 1; row < 9; ++row) EXPECT_EQ(Vector(rows.row(row)), mean);
    EXPECT_EQ(constant.tokens, Tokens(9, -1));
}

TEST_F(RotaryPositions, LeaveTheMeanEmbeddingOutOfTheMeans) {
    const PromptSet set = make();
    EXPECT_EQ(set.label_outside_means, 1);
    EXPECT_EQ(set.sequences.back().labels, Tokens(9, 1));
}

TEST_F(RotaryPositions, AreDescribed) {
    const Json description = make(3).description;
    EXPECT_EQ(description.at("kind"), "positions");
    EXPECT_EQ(description.at("seed"), 3);
    EXPECT_EQ(description.at("sequences"), 5);
    EXPECT_EQ(description.at("first_token_of_mean"), 0);
}

TEST_F(RotaryPositions, BeginWithTheStartTokenWhereTheModelDoes) {
    const TempFolder folder;
    const Model model = Model::open(with_start_token(folder, "llama", 7).string());
    const PromptSet set = positions_prompts(model, {.length = 9, .sequences = 2});
    EXPECT_EQ(set.sequences[0].tokens[0], 7);
    EXPECT_EQ(Matrix(MatrixView(set.sequences[2].vectors.data(), 1, 32)), model.token_embeddings({7}));
}

TEST_F(RotaryPositions, HaveNoLengthThatNoMemoryHolds) {
    EXPECT_EQ(error_of([&] { positions_prompts(model_, {.length = std::int64_t{1} << 40}); }),
              "length 1099511627776 is above the context of bytes-llama: it was trained on 128 tokens; use "
              "--length "
              "128 or less");
}

}  // namespace
}  // namespace tomograph
