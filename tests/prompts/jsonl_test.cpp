#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

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

class JsonlPrompts : public testing::Test {
  protected:
    PromptSet read(const std::string& lines, std::int64_t length = 100, std::int64_t sequences = 0) const {
        return jsonl_prompts(
            model_.vocabulary(),
            {.file = folder_.write("a.jsonl", lines), .sequences = sequences, .length = length});
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

TEST_F(JsonlPrompts, TakeAByteOrderMark) {
    EXPECT_EQ(read("\xef\xbb\xbf{\"text\": \"ab\"}\n{\"text\": \"c\"}").sequences[0].tokens,
              (Tokens{'a', 'b'}));
}

TEST_F(JsonlPrompts, AreCutInTheMiddleOfASegment) {
    const PromptSet set = read(
        R"({"segments": [{"label": "x", "text": "ab"}, {"label": "y", "text": "cd"}, {"label": "z", "text": "e"}]})",
        3);
    EXPECT_EQ(set.sequences[0].tokens, (Tokens{'a', 'b', 'c'}));
    EXPECT_EQ(set.sequences[0].labels, (Tokens{0, 0, 1}));
    EXPECT_EQ(set.notes, std::vector<std::string>{"1 of 1 lines were cut to 3 tokens"});
}

TEST_F(JsonlPrompts, NeedLittleMoreMemoryThanALongLine) {
#ifdef __SANITIZE_ADDRESS__
    GTEST_SKIP() << "AddressSanitizer keeps what was freed";
#endif
    // 20 MB in a process of its own, whose peak is not another test's.
    const std::size_t size = 20'000'000;
    const auto file = folder_.write("long.jsonl", "{\"text\": \"" + std::string(size, 'a') + "\"}\n");
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        rusage before{}, after{};
        ::getrusage(RUSAGE_SELF, &before);
        const PromptSet set = jsonl_prompts(model_.vocabulary(), {.file = file, .length = 64});
        ::getrusage(RUSAGE_SELF, &after);
        const bool whole = set.sequences.at(0).tokens.size() == 64;
        ::_exit(whole && static_cast<std::size_t>(after.ru_maxrss - before.ru_maxrss) * 1024 < 10 * size ? 0
                                                                                                         : 1);
    }
    int status = -1;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
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
        R"(; a line is {"text": "..."}, {"segments": [{"label": "...", "text": "..."}]}, {"messages": [{"role": "...", "content": "..."}]}, {"ids": [...]} or {"source": "...", "target": "..."})"))
        << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

struct Slip {
    const char* line;
    const char* why;
};
class RefusedLine : public JsonlPrompts, public testing::WithParamInterface<Slip> {};
INSTANTIATE_TEST_SUITE_P(
    JsonlPrompts, RefusedLine,
    testing::Values(Slip{R"({"text": "a", "lable": "x"})", "'lable' is no key of a line"},
                    Slip{R"({"text": "a", "text": "b"})", "the key \"text\" stands twice in one object"},
                    Slip{R"({"text": "a", "segments": []})", "it has both 'text' and 'segments'"},
                    Slip{R"({"segments": [{"label": "x", "text": "a", "role": "user"}]})",
                         "'role' is no key of a segment"},
                    Slip{R"({"segments": [{"label": "x", "label": "y", "text": "a"}]})",
                         "the key \"label\" stands twice in one object"},
                    Slip{R"({"segments": ["a"]})", "a segment is no object"},
                    Slip{R"({"segments": [{"text": "a"}]})", "a segment has no 'label'"},
                    Slip{R"({"segments": {"label": "x", "text": "a"}})", "'segments' is no list"},
                    Slip{R"({"text": ["a"]})", "'text' is no text"}, Slip{R"(["a"])", "a line is no object"},
                    Slip{R"({})", "it has no 'text'"},
                    Slip{R"({"target": "a"})", "it has a 'target' and no 'source'"},
                    Slip{R"({"source": "a", "text": "b"})",
                         "beside a 'source' stands a 'target' or nothing"}));

TEST_P(RefusedLine, SaysWhatIsWrongWithIt) {
    EXPECT_EQ(
        error("{\"text\": \"a\"}\n" + std::string(GetParam().line) + "\n"),
        "line 2 of " + path() + " cannot be used: " + GetParam().why +
            R"(; a line is {"text": "..."}, {"segments": [{"label": "...", "text": "..."}]}, {"messages": [{"role": "...", "content": "..."}]}, {"ids": [...]} or {"source": "...", "target": "..."})");
}

// Two streams: what each of them reads of a line.
class JsonlPairs : public testing::Test {
  protected:
    PromptSet read(Side side, const std::string& lines, std::int64_t length = 100) const {
        const Model model = Model::open(golden_model("t5"), HeldWeights::as_stored, 0, side);
        return jsonl_prompts(model.vocabulary(), {.file = folder_.write("a.jsonl", lines), .length = length});
    }
    const std::string lines_ = "{\"source\": \"abc\", \"target\": \"de\"}\n{\"source\": \"f\"}\n";
    TempFolder folder_;
};

TEST_F(JsonlPairs, AreASourceAndATarget) {
    const PromptSet set = read(Side::target, lines_);
    ASSERT_EQ(set.sequences.size(), 2u);
    EXPECT_EQ(set.sequences[0].source, (Tokens{'a', 'b', 'c', 1}));
    EXPECT_EQ(set.sequences[0].tokens, (Tokens{0, 'd', 'e'}));
    EXPECT_EQ(set.sequences[1].source, (Tokens{'f', 1}));
    EXPECT_EQ(set.sequences[1].tokens, (Tokens{0}));
    EXPECT_EQ(set.texts.at(0), (Json{{"source", "abc"}}));
    EXPECT_EQ(set.description.at("longest_source"), 4);
    EXPECT_TRUE(set.notes.empty());
}

TEST_F(JsonlPairs, AreSourcesToTheEncoder) {
    const PromptSet set = read(Side::source, lines_);
    EXPECT_EQ(set.sequences[0].tokens, (Tokens{'a', 'b', 'c', 1}));
    EXPECT_TRUE(set.sequences[0].source.empty());
    EXPECT_EQ(set.notes, (std::vector<std::string>{"1 target is not read: --side target of an encoder and a "
                                                   "decoder in one file reads targets"}));
}

TEST_F(JsonlPairs, CutSourcesAndKeepTheirEnd) {
    const PromptSet set = read(Side::target, lines_, 3);
    EXPECT_EQ(set.sequences[0].source, (Tokens{'a', 'b', 1}));
    EXPECT_EQ(set.sequences[0].tokens, (Tokens{0, 'd', 'e'}));
    EXPECT_EQ(set.notes, (std::vector<std::string>{"1 of 2 lines were cut to 3 tokens"}));
}

TEST_F(JsonlPairs, NeedASource) {
    EXPECT_NE(error_of([&] { read(Side::target, "{\"source\": \"\", \"target\": \"a\"}\n"); })
                  .find("'source' is empty"),
              std::string::npos);
}

TEST_F(JsonlPairs, MayBeTextsOfWhichOnlyTheBeginningOfATargetIsRead) {
    const PromptSet set =
        read(Side::target, R"({"segments": [{"label": "x", "text": "ab"}, {"label": "y", "text": "c"}]})");
    EXPECT_EQ(set.sequences[0].source, (Tokens{'a', 'b', 'c', 1}));
    EXPECT_EQ(set.sequences[0].tokens, (Tokens{0}));
    EXPECT_EQ(set.sequences[0].labels, (Tokens{0}));
    ASSERT_EQ(set.notes.size(), 1u);
    EXPECT_TRUE(set.notes[0].starts_with("1 of 1 texts are sources alone")) << set.notes[0];
}

TEST_F(JsonlPrompts, RefuseALineOfAnyDepth) {
    EXPECT_NE(error("{\"text\": " + std::string(100'000, '[') + "}\n").find("it is nested more than 64 deep"),
              std::string::npos);
}

TEST_F(JsonlPrompts, KeepTheMessageShortHoweverLongTheLine) {
    EXPECT_LT(error("{\"text\": \"" + std::string(1'000'000, 'a')).size(), 500u);
}

TEST_F(JsonlPrompts, RefuseALengthThatNobodyReads) {
    EXPECT_TRUE(error_of([&] {
                    read("{\"text\": \"a\"}", std::int64_t{1} << 62);
                }).starts_with("length 4611686018427387904 is above"));
}

}  // namespace
}  // namespace tomograph
