#include <gtest/gtest.h>

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

class JsonlPrompts : public testing::Test {
  protected:
    PromptSet read(const std::string& lines, std::int64_t length = 100, std::int64_t sequences = 0) const {
        return jsonl_prompts(
            model_, {.file = folder_.write("a.jsonl", lines), .sequences = sequences, .length = length});
    }
    std::string error(const std::string& lines) const {
        return error_of([&] { read(lines); });
    }
    std::string path() const { return (folder_ / "a.jsonl").string(); }
    Model model_ = Model::open("bytes-llama");
    TempFolder folder_;
};

TEST_F(JsonlPrompts, AreOneSequenceALine) {
    const PromptSet set = read("{\"text\": \"ab\"}\n{\"text\": \"cde\"}\n");
    ASSERT_EQ(set.sequences.size(), 2u);
    EXPECT_EQ(set.sequences[1].tokens, (Tokens{'c', 'd', 'e'}));
}

TEST_F(JsonlPrompts, NeedNoLineBreakAtTheEnd) {
    EXPECT_EQ(read("{\"text\": \"ab\"}").sequences.size(), 1u);
}

TEST_F(JsonlPrompts, TakeLineBreaksOfWindows) {
    EXPECT_EQ(read("{\"text\": \"ab\"}\r\n{\"text\": \"cd\"}\r\n").sequences.size(), 2u);
}

TEST_F(JsonlPrompts, HaveNoLabelsWithoutSegments) {
    const PromptSet set = read("{\"text\": \"ab\"}");
    EXPECT_TRUE(set.labels.empty());
    EXPECT_EQ(set.sequences[0].labels, (Tokens{-1, -1}));
}

TEST_F(JsonlPrompts, LabelTheirSegments) {
    const PromptSet set =
        read(R"({"segments": [{"label": "context", "text": "ab"}, {"label": "question", "text": "c"}]})");
    EXPECT_EQ(set.labels, (std::vector<std::string>{"context", "question"}));
    EXPECT_EQ(set.sequences[0].tokens, (Tokens{'a', 'b', 'c'}));
    EXPECT_EQ(set.sequences[0].labels, (Tokens{0, 0, 1}));
}

TEST_F(JsonlPrompts, ShareLabelsBetweenLines) {
    const PromptSet set =
        read(R"({"segments": [{"label": "context", "text": "a"}]})"
             "\n"
             R"({"segments": [{"label": "question", "text": "b"}, {"label": "context", "text": "c"}]})");
    EXPECT_EQ(set.labels.size(), 2u);
    EXPECT_EQ(set.sequences[1].labels, (Tokens{1, 0}));
}

TEST_F(JsonlPrompts, KeepAnyCharacterInALabel) {
    const std::string line = R"({"segments": [{"label": "a\t\"b\",\n\u00e9", "text": "a"}]})";
    EXPECT_EQ(read(line).labels.at(0), "a\t\"b\",\n\u00e9");
}

TEST_F(JsonlPrompts, ReadZeroBytesOfAText) {
    EXPECT_EQ(read(R"({"text": "a\u0000b"})").sequences[0].tokens, (Tokens{'a', 0, 'b'}));
}

TEST_F(JsonlPrompts, CutLongLinesAndSaySo) {
    const PromptSet set = read("{\"text\": \"abcdef\"}\n{\"text\": \"ab\"}\n", 4);
    EXPECT_EQ(set.sequences[0].tokens.size(), 4u);
    EXPECT_EQ(set.sequences[0].labels.size(), 4u);
    EXPECT_EQ(set.notes, std::vector<std::string>{"1 of 2 lines were cut to 4 tokens"});
}

TEST_F(JsonlPrompts, SayNothingWhereNoneWasCut) {
    EXPECT_TRUE(read("{\"text\": \"abcd\"}\n", 4).notes.empty());
}

TEST_F(JsonlPrompts, StopAtTheNumberAskedFor) {
    EXPECT_EQ(read("{\"text\": \"a\"}\n{\"text\": \"b\"}\nbroken\n", 4, 2).sequences.size(), 2u);
}

TEST_F(JsonlPrompts, AreDescribed) {
    const Json description = read("{\"text\": \"abc\"}\n{\"text\": \"b\"}\n").description;
    EXPECT_EQ(description.at("kind"), "jsonl");
    EXPECT_EQ(description.at("sources"), Json::array({"a.jsonl"}));
    EXPECT_EQ(description.at("sequences"), 2);
    EXPECT_EQ(description.at("length"), 3);
}

TEST_F(JsonlPrompts, PutAStartTokenWithoutALabelBefore) {
    const Model model = Model::open(with_start_token(folder_, "llama", 7).string());
    const auto file = folder_.write("a.jsonl", R"({"segments": [{"label": "x", "text": "ab"}]})");
    const PromptSet set = jsonl_prompts(model.vocabulary(), {.file = file});
    EXPECT_EQ(set.sequences[0].tokens, (Tokens{7, 'a', 'b'}));
    EXPECT_EQ(set.sequences[0].labels, (Tokens{-1, 0, 0}));
}

// What is refused
// -------------------------------------------------------------------------------------------------------------

TEST_F(JsonlPrompts, NameAMissingFile) {
    EXPECT_EQ(error_of([&] { jsonl_prompts(model_.vocabulary(), {.file = folder_ / "absent"}); }),
              "cannot read " + (folder_ / "absent").string() + ": no such file, or no permission");
}

TEST_F(JsonlPrompts, RefuseAnEmptyFile) {
    EXPECT_EQ(error(""), path() + " is empty; give a file with one JSON object a line");
}

TEST_F(JsonlPrompts, NameALineWithoutText) {
    EXPECT_EQ(error("{\"text\": \"a\"}\n{\"text\": \"\"}\n"),
              "line 2 of " + path() + " has no text; a line's index is its sequence, so none may be empty");
}

TEST_F(JsonlPrompts, NameALineWithoutSegments) {
    EXPECT_EQ(error("{\"segments\": []}\n"),
              "line 1 of " + path() + " has no text; a line's index is its sequence, so none may be empty");
}

class BrokenLine : public JsonlPrompts, public testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(JsonlPrompts, BrokenLine,
                         testing::Values("{\"text\": ", "", "hello", "7", "null", "[\"text\"]", "{}",
                                         "{\"text\": 7}", "{\"Text\": \"a\"}", "{\"segments\": \"a\"}",
                                         "{\"segments\": 7}", "{\"segments\": [{\"text\": \"a\"}]}",
                                         "{\"segments\": [{\"label\": \"a\"}]}",
                                         "{\"segments\": [{\"label\": 1, \"text\": \"a\"}]}",
                                         "{\"text\": \"\xff\"}", "{\"text\": \"a\"} {\"text\": \"b\"}"));

TEST_P(BrokenLine, IsNamedByItsNumber) {
    const std::string message =
        error("{\"text\": \"a\"}\n{\"text\": \"b\"}\n" + std::string(GetParam()) + "\n");
    EXPECT_TRUE(message.starts_with("line 3 of " + path() + " cannot be used: ")) << message;
    EXPECT_TRUE(message.ends_with(
        R"(; a line is {"text": "..."} or {"segments": [{"label": "...", "text": "..."}]})"))
        << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

}  // namespace
}  // namespace tomograph
