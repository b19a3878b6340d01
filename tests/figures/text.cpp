#include "tomograph/figures/text.h"

#include "tomograph/base/text.h"

#include <fstream>

#include "figures/support.h"
#include "support/temp_folder.h"

namespace tomograph {
namespace {

TEST(Text, ReadableKeepsValidTextAndShowsTheRest) {
    EXPECT_EQ(readable("plain é 日本 🐋"), "plain é 日本 🐋");
    EXPECT_EQ(readable("a\nb\tc\r"), "a\\nb\\tc\\r");
    EXPECT_EQ(readable(std::string_view("\0\x1b\x7f", 3)), "\\x00\\x1b\\x7f");
    EXPECT_EQ(readable("\xff|\xc3"), "\uFFFD|\uFFFD");
    EXPECT_EQ(readable("\xc0\xaf"), "\uFFFD\uFFFD") << "overlong";
    EXPECT_EQ(readable("\xed\xa0\x80"), "\uFFFD\uFFFD\uFFFD") << "half of a surrogate pair";
    EXPECT_EQ(readable("\xf4\x90\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD") << "past the end of Unicode";
}

TEST(Text, ShortenedFitsAndKeepsWhatAlreadyFits) {
    EXPECT_EQ(shortened("short", 7, 100), "short");
    const std::string cut = shortened("a name that is far too long for its place", 7, 60);
    EXPECT_LE(text_width(cut, 7), 60);
    EXPECT_GT(text_width(cut, 7), 45);
    EXPECT_EQ(cut.substr(cut.size() - 3), "…");
}

TEST(Text, WrappedLinesFitAndLoseNoWord) {
    const std::string text = "Attention and MLP outputs of the middle blocks, unit vectors, all samples";
    const auto lines = wrapped(text, 8, 120, 10);
    std::string joined;
    for (const auto& line : lines) {
        EXPECT_LE(text_width(line, 8), 120);
        joined += (joined.empty() ? "" : " ") + line;
    }
    EXPECT_EQ(joined, text);
}

TEST(Text, WordsLongerThanALineAreBrokenAndTooManyLinesShortened) {
    const auto lines = wrapped(std::string(200, 'W'), 8, 100, 3);
    ASSERT_EQ(lines.size(), 3U);
    for (const auto& line : lines) EXPECT_LE(text_width(line, 8), 100);
    EXPECT_EQ(lines[2].substr(lines[2].size() - 3), "…");
    EXPECT_TRUE(wrapped("", 8, 100, 3).empty());
}

TEST(Text, WithGlyphsReplacesWhatNoFontHas) {
    EXPECT_EQ(with_glyphs("plain"), "plain");
    // A code point that is not assigned to any character.
    const std::string unassigned = to_utf8(U"\U0003FFF0");
    const std::string drawn = with_glyphs("x" + unassigned + "y");
    EXPECT_EQ(drawn.find(unassigned), std::string::npos);
    EXPECT_EQ(code_points(drawn).size(), 3U);
}

TEST(Text, FontsThatAreMissingAreNamed) {
    const test::TempFolder folder;
    const auto file = folder / "fonts.conf";
    std::ofstream(file)
        << "<?xml version=\"1.0\"?><fontconfig><dir>/usr/share/fonts/truetype/dejavu</dir><cachedir>"
        << folder.path().string() << "</cachedir></fontconfig>";
    const test::Environment latin("FONTCONFIG_FILE", file.c_str());
    // Characters that no other test here draws: what is known of one is kept.
    EXPECT_EQ(with_glyphs("鯉 한 🐳"), "□ □ □");
    const std::string note = missing_glyphs();
    EXPECT_NE(note.find("鯉"), std::string::npos) << note;
    EXPECT_NE(
        note.find("fonts-noto-cjk (for Chinese, Japanese and Korean), fonts-noto-color-emoji (for emoji)"),
        std::string::npos)
        << note;
}

TEST(Text, ChineseAndJapaneseAreDrawnWhereAFontHasThem) {
    EXPECT_EQ(with_glyphs("鯨は大きい"), "鯨は大きい") << "scripts/setup installs fonts-droid-fallback";
}

}  // namespace
}  // namespace tomograph
