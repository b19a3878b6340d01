#include "tomograph/base/range.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "support/errors.h"

namespace tomograph {
namespace {

using test::error_of;

TEST(ParseRange, ReadsBothBounds) {
    EXPECT_EQ(parse_range("2:9", "layers"), (Range{2, 9}));
}
TEST(ParseRange, ReadsAnOpenEnd) {
    EXPECT_EQ(parse_range("1:", "layers"), (Range{1, std::nullopt}));
}
TEST(ParseRange, ReadsAnOpenBegin) {
    EXPECT_EQ(parse_range(":5", "layers"), (Range{0, 5}));
}
TEST(ParseRange, ReadsEverything) {
    EXPECT_EQ(parse_range(":", "layers"), (Range{0, std::nullopt}));
}
TEST(ParseRange, ReadsOneNumberAsThatOneAlone) {
    EXPECT_EQ(parse_range("3", "layers"), (Range{3, 4}));
}

class MalformedRange : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(ParseRange, MalformedRange,
                         testing::Values("", "a", "1:b", "-", "1:-", "--1:", "1:2:3", " 1:2", "1 :2", "1.5:2",
                                         "0x1:2", "9223372036854775807", "99999999999999999999:"));

TEST_P(MalformedRange, IsRefused) {
    EXPECT_EQ(
        error_of([&] { parse_range(GetParam(), "layers"); }),
        fmt::format("'{}' is no range of layers; write for example 2:9 (half-open), 1:, :5, or -1 for the last", GetParam()));
}

TEST(ResolveRange, FillsInAnOpenEnd) {
    EXPECT_EQ(resolve_range({1, std::nullopt}, 6, "layers"), (Range{1, 6}));
}
TEST(ResolveRange, AllowsTheWholeCount) {
    EXPECT_EQ(resolve_range({0, 6}, 6, "layers"), (Range{0, 6}));
}

TEST(ResolveRange, RefusesAnEndPastTheCount) {
    EXPECT_EQ(error_of([] {
                  resolve_range({0, 7}, 6, "layers");
              }),
              "no layers 0:7: there are 6: 0 to 5; a range is half-open");
}

TEST(ResolveRange, RefusesABeginPastTheCount) {
    EXPECT_EQ(error_of([] {
                  resolve_range({6, std::nullopt}, 6, "layers");
              }),
              "no layers 6:: there are 6: 0 to 5; a range is half-open");
}

TEST(ResolveRange, RefusesAnEmptyRange) {
    EXPECT_EQ(error_of([] {
                  resolve_range({3, 3}, 6, "layers");
              }),
              "layers 3:3 is empty; a range is half-open");
}

TEST(ParseRange, ReadsBoundsFromTheEnd) {
    EXPECT_EQ(parse_range("-8:-1", "positions"), (Range{-8, -1}));
    EXPECT_EQ(parse_range("-4:", "positions"), (Range{-4, std::nullopt}));
    EXPECT_EQ(parse_range("1:-1", "positions"), (Range{1, -1}));
}
TEST(ParseRange, ReadsMinusOneAsTheLastAlone) {
    EXPECT_EQ(parse_range("-1", "positions"), (Range{-1, std::nullopt}));
    EXPECT_EQ(parse_range("-3", "positions"), (Range{-3, -2}));
}

TEST(ResolveRange, CountsFromTheEnd) {
    EXPECT_EQ(resolve_range({-2, std::nullopt}, 6, "layers"), (Range{4, 6}));
    EXPECT_EQ(resolve_range({1, -1}, 6, "layers"), (Range{1, 5}));
}
TEST(ResolveRange, RefusesABoundBeforeTheFirst) {
    EXPECT_EQ(error_of([] {
                  resolve_range({-7, std::nullopt}, 6, "layers");
              }),
              "no layers -7:: there are 6: 0 to 5; a range is half-open");
}

TEST(Range, ContainsItsBeginAndNotItsEnd) {
    const Range range{2, 4};
    EXPECT_FALSE(range.contains(1, 9));
    EXPECT_TRUE(range.contains(2, 9));
    EXPECT_FALSE(range.contains(4, 9));
}

TEST(Range, WithoutAnEndContainsAllThatFollow) {
    EXPECT_TRUE((Range{2, std::nullopt}.contains(1'000'000, 1'000'001)));
}

TEST(Range, FromTheEndGoesByTheCount) {
    const Range last_two{-2, std::nullopt};
    EXPECT_TRUE(last_two.from_end());
    EXPECT_FALSE(last_two.contains(2, 5));
    EXPECT_TRUE(last_two.contains(3, 5));
    EXPECT_TRUE(last_two.contains(0, 1));  // of one, the last two are that one
    EXPECT_FALSE((Range{0, -1}.contains(4, 5)));
}

}  // namespace
}  // namespace tomograph
