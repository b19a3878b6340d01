#include "tomograph/figures/axis.h"

#include <cmath>
#include <limits>

#include "figures/support.h"

namespace tomograph {
namespace {

std::string labels(const Ticks& ticks) {
    std::string all;
    for (const Tick& tick : ticks.ticks) {
        if (!tick.label.empty()) all += (all.empty() ? "" : " ") + tick.label;
    }
    return all;
}

TEST(Axis, RoundNumbers) {
    EXPECT_EQ(labels(find_ticks({-1.05, 1.02}, 5)), "−1.0 −0.5 0.0 0.5 1.0");
    EXPECT_EQ(labels(find_ticks({0, 30}, 4)), "0 10 20 30");
    EXPECT_EQ(labels(find_ticks({0, 3}, 8, true)), "0 1 2 3") << "whole numbers are not divided";
    EXPECT_EQ(labels(find_ticks({0.0012, 0.0041}, 4)), "0.002 0.003 0.004");
}

TEST(Axis, LargeAndTinyNumbersShareAPowerOfTen) {
    const Ticks large = find_ticks({0, 3.2e6}, 4);
    EXPECT_EQ(labels(large), "0 1 2 3");
    EXPECT_EQ(power_note(large), " (×10⁶)");
    EXPECT_EQ(power_note(find_ticks({0, 2e-5}, 4)), " (×10⁻⁵)");
    EXPECT_EQ(power_note(find_ticks({0, 100}, 4)), "");
}

TEST(Axis, Logarithmic) {
    EXPECT_EQ(labels(find_ticks({0.5, 2e4, true}, 6)), "10⁰ 10¹ 10² 10³ 10⁴");
    EXPECT_EQ(labels(find_ticks({1, 1e12, true}, 5)), "10⁰ 10³ 10⁶ 10⁹ 10¹²");
    EXPECT_EQ(labels(find_ticks({1.5, 30, true}, 6)), "2 5 10 20");
    EXPECT_GE(find_ticks({3.1, 3.9, true}, 5).ticks.size(), 2U) << "part of a decade";
    EXPECT_TRUE(std::isnan((Scale{1, 10, true}).place(0)));
    EXPECT_NEAR((Scale{1, 100, true}).place(10), 0.5, 1e-12);
}

TEST(Axis, ScaleFinderPassesOverWhatCannotBeShown) {
    ScaleFinder linear;
    EXPECT_FALSE(linear.add(std::numeric_limits<double>::quiet_NaN()));
    EXPECT_FALSE(linear.add(std::numeric_limits<double>::infinity()));
    EXPECT_TRUE(linear.empty());
    EXPECT_TRUE(linear.add(-2));
    EXPECT_TRUE(linear.add(3));
    EXPECT_EQ(linear.scale().low, -2);
    EXPECT_EQ(linear.scale(0.1).high, 3.5);
    ScaleFinder log(true);
    EXPECT_FALSE(log.add(0));
    EXPECT_FALSE(log.add(-1));
    EXPECT_TRUE(log.add(10));
    EXPECT_LT(log.scale().low, 10);
}

TEST(Axis, OneValueGetsAScaleAroundIt) {
    for (const double value : {0.0, 5.0, -1e9, 1e-30}) {
        ScaleFinder finder;
        finder.add(value);
        const Scale scale = finder.scale(0.05);
        EXPECT_LT(scale.low, value);
        EXPECT_GT(scale.high, value);
        EXPECT_FALSE(find_ticks(scale, 5).ticks.empty()) << value;
    }
}

}  // namespace
}  // namespace tomograph
