#include "tomograph/figures/palette.h"

#include <cmath>
#include <set>

#include "figures/support.h"

namespace tomograph {
namespace {

/// CIE lightness.
double lightness(Color color) {
    const auto linear = [](Color byte) {
        const double c = (byte & 0xFF) / 255.0;
        return c <= 0.04045 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4);
    };
    const double y = 0.2126 * linear(color >> 16) + 0.7152 * linear(color >> 8) + 0.0722 * linear(color);
    return 116.0 * std::cbrt(y) - 16.0;
}

TEST(Palette, AttentionAndMlpAreAlwaysTheSameTwoColours) {
    EXPECT_EQ(component_color("attn_out"), 0x0072B2U);
    EXPECT_EQ(component_color("mlp_out"), 0xD55E00U);
    EXPECT_EQ(component_color("no such component"), component_color(""));
}

TEST(Palette, TwentyOneCategoriesDiffer) {
    std::set<Color> seen;
    for (int i = 0; i < 21; ++i) seen.insert(category_color(i));
    EXPECT_EQ(seen.size(), 21U);
    EXPECT_EQ(category_color(21), category_color(0));
}

TEST(Palette, TheSequentialMapGetsEvenlyLighterAndStaysVisibleOnPaper) {
    double before = lightness(map_color(ColorMap::sequential, 0));
    for (int i = 1; i <= 20; ++i) {
        const double now = lightness(map_color(ColorMap::sequential, i / 20.0));
        EXPECT_GT(now, before + 1.0) << i;
        EXPECT_LT(now, before + 6.0) << i;
        before = now;
    }
    EXPECT_LT(before, 88.0);
}

TEST(Palette, OutsideAndUndefinedValuesGetAColour) {
    EXPECT_EQ(map_color(ColorMap::sequential, -5), map_color(ColorMap::sequential, 0));
    EXPECT_EQ(map_color(ColorMap::diverging, 5), map_color(ColorMap::diverging, 1));
    EXPECT_EQ(map_color(ColorMap::diverging, std::nan("")), map_color(ColorMap::diverging, 0.5));
}

}  // namespace
}  // namespace tomograph
