#include "tomograph/base/text.h"

#include <gtest/gtest.h>

#include "tomograph/base/counted.h"

namespace tomograph {
namespace {

TEST(Counted, OneTakesNoS) {
    EXPECT_EQ(counted(0, "shard"), "0 shards");
    EXPECT_EQ(counted(1, "shard"), "1 shard");
    EXPECT_EQ(counted(12, "shard"), "12 shards");
}

TEST(Utf8Length, CountsTheBytesOfACharacter) {
    EXPECT_EQ(utf8_length("a"), 1u);
    EXPECT_EQ(utf8_length("\u00e9"), 2u);
    EXPECT_EQ(utf8_length("\u20ac"), 3u);
    EXPECT_EQ(utf8_length("\U0001f40b"), 4u);
}

class InvalidUtf8 : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Utf8, InvalidUtf8,
                         testing::Values("", "\x80", "\xc3", "\xc3(", "\xe2\x82", "\xc0\xaf", "\xe0\x80\xaf",
                                         "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff"));

TEST_P(InvalidUtf8, HasNoLength) {
    EXPECT_EQ(utf8_length(GetParam()), 0u);
}

TEST(PieceToJson, KeepsValidTextAsText) {
    EXPECT_EQ(piece_to_json("caf\u00e9"), Json("caf\u00e9"));
}

TEST(PieceToJson, WritesOtherBytesAsNumbers) {
    EXPECT_EQ(piece_to_json("a\xff"), Json({97, 255}));
}

TEST(PieceToJson, IsReadBackForEverySingleByte) {
    for (int byte = 0; byte < 256; ++byte) {
        const std::string piece(1, static_cast<char>(byte));
        ASSERT_EQ(piece_from_json(Json::parse(piece_to_json(piece).dump())), piece) << byte;
    }
}

TEST(PieceFromJson, RefusesWhatIsNeitherTextNorBytes) {
    for (const char* json : {"7", "null", "{\"a\": 1}", "[256]", "[-1]", "[1.5]", "[\"a\"]", "[[1]]"})
        EXPECT_THROW(piece_from_json(parse_json(json)), JsonError) << json;
}

TEST(Printable, ShowsInvalidAndControlBytesEscaped) {
    EXPECT_EQ(printable("a\xff\x01"), "a\\xff\\x01");
}

TEST(Printable, ShowsLineBreaksAndTabsByName) {
    EXPECT_EQ(printable("a\n\tb"), "a\\n\\tb");
}

TEST(Printable, KeepsValidTextAsItIs) {
    EXPECT_EQ(printable("caf\u00e9 \U0001f40b"), "caf\u00e9 \U0001f40b");
}

TEST(Printable, KeepsABackslashAndALineBreakApart) {
    EXPECT_EQ(printable("\\n"), "\\\\n");
    EXPECT_EQ(printable("\n"), "\\n");
}

TEST(Printable, ShowsWhatBreaksALineOrSteersATerminalByNumber) {
    EXPECT_EQ(printable("\u0085\u2028\u2029"), "\\u0085\\u2028\\u2029");
    EXPECT_EQ(printable("\u009b31m"), "\\u009b31m");
    EXPECT_EQ(printable("\u202e\u2066"), "\\u202e\\u2066");
    EXPECT_EQ(printable("\x85"), "\\x85");  // the byte, not the character
    EXPECT_EQ(printable("\r\v\f\x1c\x1b\x7f"), "\\x0d\\x0b\\x0c\\x1c\\x1b\\x7f");
}

TEST(WithoutControls, KeepsBackslashes) {
    EXPECT_EQ(without_controls("C:\\a\x1b[31m", false), "C:\\a\\x1b[31m");
}

TEST(WithoutControls, KeepsLinesWhereItIsToldTo) {
    EXPECT_EQ(without_controls("a\nb", true), "a\nb");
    EXPECT_EQ(without_controls("a\nb", false), "a\\nb");
}

TEST(DecodeUtf8, GivesWhatAppendUtf8Wrote) {
    for (char32_t point = 0; point <= 0x10ffff; ++point) {
        if (point >= 0xd800 && point <= 0xdfff) continue;
        std::string text;
        append_utf8(text, point);
        const Utf8Character character = decode_utf8(text);
        ASSERT_EQ(character.length, text.size()) << std::hex << static_cast<std::uint32_t>(point);
        ASSERT_EQ(character.point, point);
    }
}

TEST(ValidUtf8, ReplacesEveryByteThatBelongsToNoCharacter) {
    EXPECT_EQ(valid_utf8("a\xff\xe2\x82|caf\u00e9"), "a\ufffd\ufffd\ufffd|caf\u00e9");
}

TEST(CodePoints, AreThereAndBack) {
    EXPECT_EQ(to_utf8(code_points("caf\u00e9 \U0001f40b")), "caf\u00e9 \U0001f40b");
    EXPECT_EQ(code_points("\xff"), U"\ufffd");
}

TEST(CsvField, IsQuotedWhereItHasTo) {
    EXPECT_EQ(csv_field("plain"), "plain");
    EXPECT_EQ(csv_field("a,\"b\""), "\"a,\"\"b\"\"\"");
    EXPECT_EQ(csv_field(" edge"), "\" edge\"");
    EXPECT_EQ(csv_field("a\r"), "\"a\r\"");
}

}  // namespace
}  // namespace tomograph
