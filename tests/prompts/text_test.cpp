#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "support/edited_gguf.h"
#include "support/errors.h"
#include "support/golden.h"
#include "support/start_token.h"
#include "support/temp_folder.h"
#include "tomograph/model/model.h"
#include "tomograph/prompts/prompts.h"

namespace tomograph {
namespace {

using namespace test;
using Tokens = std::vector<std::int32_t>;
using Notes = std::vector<std::string>;

/// The token ids of a byte-level model.
Tokens bytes_of(std::string_view text) {
    Tokens tokens;
    for (const char byte : text) tokens.push_back(static_cast<unsigned char>(byte));
    return tokens;
}

class TextPrompts : public testing::Test {
  protected:
    PromptSet cut(const std::string& text, std::int64_t sequences, std::int64_t length) const {
        return text_prompts(
            model_.vocabulary(),
            {.files = {folder_.write("a.txt", text)}, .sequences = sequences, .length = length});
    }
    std::string error(const TextOptions& options) const {
        return error_of([&] { text_prompts(model_.vocabulary(), options); });
    }
    Model model_ = Model::open("bytes-llama");
    TempFolder folder_;
};

TEST_F(TextPrompts, AreCutToTheirLength) {
    const PromptSet set = cut("abcdefgh", 2, 4);
    ASSERT_EQ(set.sequences.size(), 2u);
    EXPECT_EQ(set.sequences[0].tokens, bytes_of("abcd"));
    EXPECT_EQ(set.sequences[1].tokens, bytes_of("efgh"));
}

TEST_F(TextPrompts, LeaveTheRestOut) {
    EXPECT_EQ(cut("abcdefghij", 9, 4).sequences.size(), 2u);
}

TEST_F(TextPrompts, StopAtTheNumberAskedFor) {
    EXPECT_EQ(cut("abcdefghij", 1, 4).sequences.size(), 1u);
}

class Stride : public TextPrompts {
  protected:
    PromptSet read(std::int64_t stride, Start start = Start::no) const {
        return text_prompts(model_.vocabulary(), {.files = {folder_.write("a.txt", "abcdefghij")},
                                                  .sequences = 9,
                                                  .length = 4,
                                                  .stride = stride,
                                                  .start = start});
    }
};

TEST_F(Stride, LetsSequencesOverlap) {
    const PromptSet set = read(2);
    ASSERT_EQ(set.sequences.size(), 4u);
    EXPECT_EQ(set.sequences[1].tokens, bytes_of("cdef"));
    EXPECT_EQ(set.sequences[3].tokens, bytes_of("ghij"));
    EXPECT_EQ(set.description.at("stride"), 2);
}

TEST_F(Stride, SaysWhichTokensAreNew) {
    const PromptSet set = read(3);
    ASSERT_EQ(set.columns.size(), 1u);
    EXPECT_EQ(set.columns[0].name, "overlap");
    EXPECT_EQ(set.columns[0].words, (Notes{"new", "again"}));
    EXPECT_EQ(set.sequences[0].columns[0], (Tokens{0, 0, 0, 0}));
    EXPECT_EQ(set.sequences[1].columns[0], (Tokens{1, 0, 0, 0}));
}

TEST_F(Stride, CountsNewTokensOnceEach) {
    std::int64_t fresh = 0;
    const PromptSet set = read(1);
    for (const Sequence& sequence : set.sequences) fresh += std::ranges::count(sequence.columns[0], 0);
    EXPECT_EQ(set.sequences.size(), 7u);
    EXPECT_EQ(fresh, 10);
}

TEST_F(Stride, LeavesTextOutWhereItIsLongerThanASequence) {
    const PromptSet set = read(6);
    ASSERT_EQ(set.sequences.size(), 2u);
    EXPECT_EQ(set.sequences[1].tokens, bytes_of("ghij"));
    EXPECT_TRUE(set.columns.empty());
}

TEST_F(Stride, OfAWholeSequenceIsNone) {
    EXPECT_EQ(read(4).sequences.size(), read(0).sequences.size());
    EXPECT_TRUE(read(4).columns.empty());
}

TEST(StrideWithAStartToken, SaysNothingOfIt) {
    const TempFolder folder;
    const Model model = Model::open(with_start_token(folder, "llama", 1).string());
    const PromptSet set = text_prompts(
        model.vocabulary(),
        {.files = {folder.write("a.txt", "abcdefghij")}, .sequences = 9, .length = 5, .stride = 2});
    ASSERT_GT(set.sequences.size(), 1u);
    EXPECT_EQ(set.sequences[1].tokens[1], 'c');
    EXPECT_EQ(set.sequences[1].columns[0], (Tokens{-1, 1, 1, 0, 0}));
}

TEST_F(TextPrompts, AreADocumentALine) {
    const PromptSet set = document_prompts(
        model_.vocabulary(), {.files = {folder_.write("a.txt", "one\r\n\n  \ntwo")}, .lines = true});
    ASSERT_EQ(set.sequences.size(), 2u);
    EXPECT_EQ(set.sequences[0].tokens, bytes_of("one"));
    EXPECT_EQ(set.sequences[1].tokens, bytes_of("two"));
    EXPECT_EQ(set.description.at("documents"), "line");
    EXPECT_EQ(set.description.at("sources"), Json::array({"a.txt"}));
}

TEST_F(TextPrompts, AreADocumentAFile) {
    const PromptSet set = document_prompts(
        model_.vocabulary(), {.files = {folder_.write("a.txt", "one\nline"), folder_.write("b.txt", "two")}});
    ASSERT_EQ(set.sequences.size(), 2u);
    EXPECT_EQ(set.sequences[0].tokens, bytes_of("one\nline"));
    EXPECT_EQ(set.labels, (Notes{"a.txt", "b.txt"}));
    EXPECT_EQ(set.sequences[1].labels, (Tokens{1, 1, 1}));
}

TEST(PromptNotes, BeginWithThoseOfTheVocabularyInTheDescriptionToo) {
    const TempFolder folder;
    const auto path = edited_gguf(golden_model("llama"), folder / "m.gguf",
                                  [](gguf_context* gguf) { gguf_remove_key(gguf, "tokenizer.ggml.pre"); });
    const Model model = Model::open(path.string());
    const PromptSet set = given_prompts(model.vocabulary(), {.prompts = {"a\xff"}});
    ASSERT_EQ(set.notes.size(), 2u);
    EXPECT_NE(set.notes[0].find("tokenizer.ggml.pre"), std::string::npos);
    EXPECT_EQ(set.description.at("notes"), Json(set.notes));
}

TEST_F(TextPrompts, AreNotedWhenTheyAreFewer) {
    EXPECT_EQ(cut("abcdefghij", 9, 4).notes,
              Notes{"2 sequences of 4 tokens instead of 9: the text has no more"});
}

TEST_F(TextPrompts, AreNotNotedWhenTheyAreAsMany) {
    EXPECT_TRUE(cut("abcdefgh", 2, 4).notes.empty());
}

TEST_F(TextPrompts, UseAShortTextWhole) {
    const PromptSet set = cut("abc", 2, 40);
    ASSERT_EQ(set.sequences.size(), 1u);
    EXPECT_EQ(set.sequences[0].tokens, bytes_of("abc"));
    EXPECT_EQ(set.notes, Notes{"the text is shorter than one sequence of 40 tokens: it is used whole"});
}

TEST_F(TextPrompts, HaveNoLabelsInOneFile) {
    const PromptSet set = cut("abcdefgh", 2, 4);
    EXPECT_TRUE(set.labels.empty());
    EXPECT_TRUE(set.sequences[0].labels.empty());
}

TEST_F(TextPrompts, AreDescribed) {
    const Json description = cut("abcdefghij", 9, 4).description;
    EXPECT_EQ(description.at("kind"), "text");
    EXPECT_EQ(description.at("sources"), Json::array({"a.txt"}));
    EXPECT_EQ(description.at("sequences"), 2);
    EXPECT_EQ(description.at("asked"), 9);
    EXPECT_EQ(description.at("length"), 4);
    EXPECT_EQ(description.at("start_token"), nullptr);
    EXPECT_EQ(description.at("notes").size(), 1u);
}

TEST_F(TextPrompts, AreMobyDickWithoutAFile) {
    const PromptSet set = text_prompts(model_.vocabulary(), {.sequences = 1, .length = 17});
    EXPECT_EQ(set.description.at("sources"), Json::array({"Moby-Dick, chapter 42 (built in)"}));
    EXPECT_EQ(set.sequences.at(0).length(), 17);
}

TEST_F(TextPrompts, HaveThirtyTwoSequencesOfTheChapter) {
    const PromptSet set = text_prompts(model_.vocabulary(), {.length = 512});
    EXPECT_EQ(set.sequences.size(), 32u);
    EXPECT_TRUE(set.notes.empty());
}

TEST_F(TextPrompts, GiveTheSameTokensHoweverManyAreAskedFor) {
    const PromptSet few = text_prompts(model_.vocabulary(), {.sequences = 2, .length = 100});
    const PromptSet many = text_prompts(model_.vocabulary(), {.sequences = 50, .length = 100});
    EXPECT_EQ(few.sequences[1].tokens, many.sequences[1].tokens);
}

TEST_F(TextPrompts, SurviveBytesThatAreNoText) {
    const PromptSet set = cut("ab\xff\xfe", 1, 8);
    EXPECT_EQ(set.sequences.at(0).tokens, bytes_of("ab\xef\xbf\xbd\xef\xbf\xbd"));
}

TEST_F(TextPrompts, CountBytesThatAreNoTextAsTheirReplacement) {
    EXPECT_EQ(cut("\xff\xff\xff\xff", 4, 3).sequences.size(), 4u);
}

// Several files
// -------------------------------------------------------------------------------------------------------------

class SeveralTexts : public TextPrompts {
  protected:
    PromptSet cut(std::int64_t sequences, std::int64_t length) const {
        return text_prompts(model_.vocabulary(), {.files = {folder_.write("one.txt", "aaaabbbbcccc"),
                                                            folder_.write("two.txt", "ddddeeee")},
                                                  .sequences = sequences,
                                                  .length = length});
    }
    static std::string text_of(const PromptSet& set) {
        std::string text;
        for (const Sequence& sequence : set.sequences) text += static_cast<char>(sequence.tokens.front());
        return text;
    }
};

TEST_F(SeveralTexts, TakeTurns) {
    EXPECT_EQ(text_of(cut(3, 4)), "adb");
}

TEST_F(SeveralTexts, AreAllUsedUp) {
    EXPECT_EQ(text_of(cut(9, 4)), "adbec");
}

TEST_F(SeveralTexts, AreLabels) {
    const PromptSet set = cut(3, 4);
    EXPECT_EQ(set.labels, (std::vector<std::string>{"one.txt", "two.txt"}));
    EXPECT_EQ(set.sequences[1].labels, Tokens(4, 1));
}

TEST_F(SeveralTexts, AreWholeWhereNoneFillsASequence) {
    const PromptSet set = cut(9, 20);
    ASSERT_EQ(set.sequences.size(), 2u);
    EXPECT_EQ(set.sequences[1].tokens, bytes_of("ddddeeee"));
    EXPECT_EQ(set.sequences[1].labels, Tokens(8, 1));
}

// The start token
// -------------------------------------------------------------------------------------------------------------

class TextAfterAStart : public testing::Test {
  protected:
    PromptSet cut(Start start, bool adds_it, std::int64_t length = 4) const {
        const Model model = Model::open(with_start_token(folder_, "llama", 7, adds_it).string());
        return text_prompts(model.vocabulary(), {.files = {folder_.write("a.txt", "abcdefgh")},
                                                 .sequences = 9,
                                                 .length = length,
                                                 .start = start});
    }
    TempFolder folder_;
};

TEST_F(TextAfterAStart, BeginsAsTheModelSays) {
    const PromptSet set = cut(Start::model, true);
    ASSERT_EQ(set.sequences.size(), 2u);
    EXPECT_EQ(set.sequences[1].tokens, (Tokens{7, 'd', 'e', 'f'}));
    EXPECT_EQ(set.description.at("start_token"), 7);
}

TEST_F(TextAfterAStart, BeginsWithNoneWhereTheModelAddsNone) {
    EXPECT_EQ(cut(Start::model, false).sequences[0].tokens, bytes_of("abcd"));
}

TEST_F(TextAfterAStart, BeginsWithItOnRequest) {
    EXPECT_EQ(cut(Start::yes, false).sequences[0].tokens, (Tokens{7, 'a', 'b', 'c'}));
}

TEST_F(TextAfterAStart, BeginsWithoutItOnRequest) {
    const PromptSet set = cut(Start::no, true);
    EXPECT_EQ(set.sequences[0].tokens, bytes_of("abcd"));
    EXPECT_EQ(set.description.at("start_token"), nullptr);
}

TEST_F(TextAfterAStart, NeedsRoomForText) {
    EXPECT_EQ(error_of([&] { cut(Start::model, true, 1); }),
              "length 1 leaves no room for text: the start token takes one place; use a longer --length");
}

TEST_F(TextPrompts, HaveNoStartTokenToBeginWith) {
    EXPECT_EQ(error({.start = Start::yes}), "bytes-llama has no start token; use --start no");
}

// What is refused
// -------------------------------------------------------------------------------------------------------------

TEST_F(TextPrompts, RefuseNoSequences) {
    EXPECT_EQ(error({.sequences = 0}), "no sequences were asked for; use --sequences 1 or more");
}

TEST_F(TextPrompts, RefuseAMissingFile) {
    EXPECT_EQ(error({.files = {folder_ / "absent"}}),
              "cannot open " + (folder_ / "absent").string() + ": No such file or directory");
}

TEST_F(TextPrompts, RefuseAFolder) {
    EXPECT_EQ(error({.files = {folder_.path()}}),
              "cannot open " + folder_.path().string() + ": it is not a regular file");
}

class EmptyText : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(TextPrompts, EmptyText, testing::Values("", " ", "\n\r\n\t "));

TEST_P(EmptyText, IsRefused) {
    const TempFolder folder;
    const auto file = folder.write("a.txt", GetParam());
    EXPECT_EQ(error_of([&] {
                  text_prompts(Model::open("bytes-gpt2").vocabulary(), {.files = {file}, .length = 4});
              }),
              file.string() + " is empty; give a file with text");
}

TEST_F(TextPrompts, RefuseBinaryFiles) {
    const auto file = folder_.write("a.txt", std::string_view("text\0text", 9));
    EXPECT_EQ(error({.files = {file}}),
              file.string() + " is not text: it holds zero bytes; give a plain text file");
}

TEST_F(TextPrompts, RefuseTheBinaryOneOfSeveral) {
    const auto text = folder_.write("a.txt", "text");
    const auto binary = folder_.write("b.txt", std::string_view("\0", 1));
    EXPECT_EQ(error({.files = {text, binary}}),
              binary.string() + " is not text: it holds zero bytes; give a plain text file");
}

TEST_F(TextPrompts, RefuseALengthThatNoMemoryHolds) {
    EXPECT_EQ(
        error({.length = std::numeric_limits<std::int64_t>::max()}),
        "length 9223372036854775807 is above the context of bytes-llama: it was trained on 128 tokens; use "
        "--length 128 or less");
}

TEST_F(TextPrompts, TakeAnyNumberOfSequences) {
    const PromptSet set = text_prompts(
        model_.vocabulary(), {.sequences = std::numeric_limits<std::int64_t>::max(), .length = 100});
    EXPECT_EQ(set.sequences.size(), set.description.at("sequences"));
}

}  // namespace
}  // namespace tomograph
