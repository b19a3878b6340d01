#include "tomograph/base/json.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <string>

#include "support/errors.h"
#include "support/temp_folder.h"
#include "tomograph/base/file.h"

namespace tomograph {
namespace {

using test::error_of;
using test::TempFolder;

TEST(WriteJson, IsReadBackEqual) {
    const TempFolder folder;
    const Json json{{"b", 1}, {"a", {1.5, "two", nullptr}}};
    write_json(folder / "x.json", json);
    EXPECT_EQ(read_json(folder / "x.json"), json);
}

TEST(WriteJson, KeepsTheOrderOfKeys) {
    const TempFolder folder;
    write_json(folder / "x.json", Json{{"b", 1}, {"a", 2}});
    EXPECT_EQ(read_file(folder / "x.json"), "{\n \"b\": 1,\n \"a\": 2\n}\n");
}

TEST(WriteJson, ReplacesBytesThatAreNotUtf8) {
    const TempFolder folder;
    write_json(folder / "x.json", Json("a\xff"));
    EXPECT_EQ(read_json(folder / "x.json"), Json("a\ufffd"));
}

TEST(ReadJson, NamesAFileThatIsMissing) {
    EXPECT_EQ(error_of([] { read_json("/nowhere/x.json"); }),
              "cannot read /nowhere/x.json: no such file, or no permission");
}

TEST(ReadJson, SaysThatACutFileIsNotJson) {
    const TempFolder folder;
    const auto path = folder.write("x.json", "{\"a\": [1, 2");
    const std::string error = error_of([&] { read_json(path); });
    EXPECT_TRUE(error.starts_with(path.string() + " is not valid JSON: ")) << error;
}

TEST(ReadJson, SaysItOnOneLine) {
    const TempFolder folder;
    const auto path = folder.write("x.json", "{\n\"a\":\n");
    EXPECT_EQ(error_of([&] { read_json(path); }).find('\n'), std::string::npos);
}

TEST(ReadJson, DoesNotWaitForAPipe) {
    const TempFolder folder;
    ASSERT_EQ(::mkfifo((folder / "x.json").c_str(), 0600), 0);
    EXPECT_EQ(error_of([&] { read_json(folder / "x.json"); }),
              "cannot read " + (folder / "x.json").string() + ": it is not a regular file");
}

std::string refusal(const std::string& text) {
    try {
        parse_json(text);
    } catch (const JsonError& e) {
        return e.what();
    }
    return "";
}

TEST(ParseJson, ReadsWhatTheLibraryReads) {
    for (const char* text :
         {"null", "true", "-3", "7", "1.5e3", "\"a\\u00e9\\n\"", "[]", "{}", "[[1, {\"a\": []}], 2]",
          "{\"b\": {\"c\": [1, null]}, \"a\": \"\"}", "\xef\xbb\xbf{\"a\": 1}", " [18446744073709551615] "})
        EXPECT_EQ(parse_json(text), Json::parse(text)) << text;
}

TEST(ParseJson, StopsAtADepthThatIsNoFiles) {
    const auto nested = [](int depth) {
        return std::string(static_cast<std::size_t>(depth), '[') +
               std::string(static_cast<std::size_t>(depth), ']');
    };
    EXPECT_EQ(refusal(nested(kJsonDepth)), "");
    EXPECT_EQ(refusal(nested(kJsonDepth + 1)), "it is nested more than 64 deep");
    EXPECT_EQ(refusal(nested(1'000'000)), "it is nested more than 64 deep");
    std::string objects;
    for (int i = 0; i < 100'000; ++i) objects += "{\"a\":";
    EXPECT_EQ(refusal(objects), "it is nested more than 64 deep");
}

TEST(ParseJson, NamesAKeyThatStandsTwice) {
    EXPECT_EQ(refusal(R"({"a": {"b": 1, "b": 2}})"), "the key \"b\" stands twice in one object");
    EXPECT_EQ(refusal(R"({"a": {"b": 1}, "b": 2})"), "");
}

TEST(ParseJson, TakesTimeThatGrowsWithTheTextAlone) {
    std::string text = "{";
    for (int i = 0; i < 300'000; ++i) text += fmt::format("{}\"{}\":0", i == 0 ? "" : ",", i);
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_EQ(parse_json(text + "}").size(), 300'000u);
    EXPECT_LT(std::chrono::steady_clock::now() - begin,
              std::chrono::seconds(20));  // a list of keys takes minutes
}

TEST(ParseJson, QuotesLittleOfWhatItCannotRead) {
    const std::string why = refusal("{\"a\":\n \"" + std::string(100'000, 'x'));
    EXPECT_TRUE(why.starts_with("parse error at line 2, column ")) << why;
    EXPECT_TRUE(
        why.ends_with("missing closing quote; last read: '\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…'"))
        << why;
}

TEST(ParseJson, RefusesWhatNoTextHolds) {
    EXPECT_EQ(refusal(std::string("{} \0 x", 6)), "byte 3 is zero, which no text holds");
    EXPECT_NE(refusal("\"\xff\""), "");
    EXPECT_NE(refusal("1e999"), "");
}

TEST(WholeNumber, IsReadWhereItFits) {
    EXPECT_EQ(whole_number<int>(-3, "x"), -3);
    EXPECT_EQ(whole_number<std::uint64_t>(parse_json("18446744073709551615"), "x"), UINT64_MAX);
    const Json object{{"a", 7}};
    EXPECT_EQ(whole_number(object, "a", std::int64_t{1}), 7);
    EXPECT_EQ(whole_number(object, "b", std::int64_t{1}), 1);
}

TEST(WholeNumber, IsNotWhatTheLibraryWouldBend) {
    const auto why = [](const char* text) -> std::string {
        try {
            whole_number<std::uint32_t>(parse_json(text), "rows");
        } catch (const JsonError& e) {
            return e.what();
        }
        return "";
    };
    for (const char* text : {"2.5", "-1", "4294967296", "18446744073709551615", "1e300", "7.0"})
        EXPECT_EQ(why(text), "rows must be a whole number that fits") << text;
    for (const char* text : {"\"3\"", "[3]", "null", "true"})
        EXPECT_EQ(why(text), "rows must be a whole number") << text;
}

TEST(JsonText, ReplacesBytesThatAreNotUtf8) {
    EXPECT_EQ(json_text({{"a\xff", "\xc3"}}), "{\"a\ufffd\":\"\ufffd\"}");
}

}  // namespace
}  // namespace tomograph
