#include "tomograph/base/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <iterator>
#include <vector>

namespace tomograph {
namespace {

using Indices = std::vector<std::int64_t>;

// splitmix64's first output for seeds 0 and 1, as its author's code gives it.
TEST(Mix, IsSplitmix64) {
    EXPECT_EQ(mix(0), 0xe220a8397b1dcdafULL);
    EXPECT_EQ(mix(1), 0x910a2dec89025cc1ULL);
}

TEST(Mix, DependsOnTheOrderOfItsCounters) {
    EXPECT_NE(mix(1, 2, 3), mix(3, 2, 1));
}

TEST(ToUnit, StaysBelowOne) {
    EXPECT_LT(to_unit(~std::uint64_t{0}), 1.0);
}

// Pinned: run folders and figures of an older release must come out the same for the same seed.
TEST(Rng, GivesThePinnedNumbersForASeed) {
    Rng rng(7);
    EXPECT_EQ(rng(), 0xb8b4c2977eabce45ULL);
    EXPECT_EQ(rng(), 0x27e8ac81e7bc3b89ULL);
}

TEST(Rng, DoesNotRepeatANeighbouringSeedShifted) {
    Rng first(0), second(1);
    first();
    EXPECT_NE(first(), second());
}

TEST(Rng, BelowStaysBelow) {
    Rng rng(1);
    for (int i = 0; i < 1000; ++i) ASSERT_LT(rng.below(3), 3u);
}

TEST(Rng, BelowReachesEveryValueEquallyOften) {
    Rng rng(1);
    std::array<int, 5> counts{};
    for (int i = 0; i < 50'000; ++i) ++counts[rng.below(5)];
    for (const int count : counts) EXPECT_NEAR(count, 10'000, 400);  // 4.5 standard deviations
}

TEST(Rng, NormalHasMeanZeroAndVarianceOne) {
    Rng rng(1);
    constexpr int kDraws = 100'000;
    double sum = 0, squares = 0;
    for (int i = 0; i < kDraws; ++i) {
        const double x = rng.normal();
        sum += x;
        squares += x * x;
    }
    EXPECT_NEAR(sum / kDraws, 0.0, 0.015);
    EXPECT_NEAR(squares / kDraws, 1.0, 0.02);
}

TEST(SampleIndices, GivesThePinnedChoiceForASeed) {
    EXPECT_EQ(sample_indices(100, 5, 3), (Indices{3, 14, 59, 85, 96}));
}

TEST(SampleIndices, GivesExactlyAsManyAsAskedFor) {
    for (std::uint64_t seed = 0; seed < 100; ++seed) ASSERT_EQ(sample_indices(50, 20, seed).size(), 20u);
}

TEST(SampleIndices, AscendsWithoutRepeats) {
    const Indices chosen = sample_indices(1000, 300, 1);
    EXPECT_TRUE(std::adjacent_find(chosen.begin(), chosen.end(), std::greater_equal{}) == chosen.end());
}

TEST(SampleIndices, StaysInRange) {
    const Indices chosen = sample_indices(1000, 999, 1);
    EXPECT_GE(chosen.front(), 0);
    EXPECT_LT(chosen.back(), 1000);
}

TEST(SampleIndices, GivesAllWhenMoreAreAskedFor) {
    EXPECT_EQ(sample_indices(3, 10, 1), (Indices{0, 1, 2}));
}

TEST(SampleIndices, GivesNoneOfNone) {
    EXPECT_TRUE(sample_indices(0, 10, 1).empty());
}

TEST(SampleIndices, GivesNoneWhenNoneAreAskedFor) {
    EXPECT_TRUE(sample_indices(10, 0, 1).empty());
}

TEST(SampleIndices, ChoosesEveryIndexEquallyOften) {
    std::array<int, 10> counts{};
    for (std::uint64_t seed = 0; seed < 10'000; ++seed) {
        for (const std::int64_t i : sample_indices(10, 3, seed)) ++counts[static_cast<std::size_t>(i)];
    }
    for (const int count : counts) EXPECT_NEAR(count, 3000, 200);  // 4.4 standard deviations
}

TEST(SampleIndices, OfNeighbouringSeedsAreUnrelated) {
    const Indices first = sample_indices(10'000, 1000, 0);
    Indices second = sample_indices(10'000, 1000, 1);
    for (std::int64_t& index : second)
        ++index;  // seed 1 chose almost what seed 0 did, one further down, once
    Indices both;
    std::set_intersection(first.begin(), first.end(), second.begin(), second.end(), std::back_inserter(both));
    EXPECT_LT(both.size(), 150u);  // 100 by chance
}

TEST(Permutation, HoldsEveryIndexOnce) {
    Indices order = permutation(1000, 5);
    std::sort(order.begin(), order.end());
    EXPECT_EQ(order, sample_indices(1000, 1000, 0));
}

TEST(Permutation, GivesThePinnedOrderForASeed) {
    EXPECT_EQ(permutation(8, 3), (Indices{2, 3, 1, 4, 6, 0, 7, 5}));
}

TEST(Permutation, DiffersBetweenSeeds) {
    EXPECT_NE(permutation(100, 1), permutation(100, 2));
}

TEST(Permutation, OfNothingIsEmpty) {
    EXPECT_TRUE(permutation(0, 1).empty());
}

}  // namespace
}  // namespace tomograph
