#include "tomograph/base/text.h"

#include <gtest/gtest.h>

namespace tomograph {
namespace {

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

}  // namespace
}  // namespace tomograph
