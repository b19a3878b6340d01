#include "tomograph/base/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <iterator>
#include <numbers>
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

// Kolmogorov-Smirnov against the distribution, and tails where the ziggurat takes another way.
TEST(DrawNormals, AreNormalToTheirTails) {
    Rng rng(3);
    std::vector<float> draws(1'000'000);
    draw_normals(rng, draws);
    const auto n = static_cast<double>(draws.size());
    const auto below = [](double x) { return 0.5 * std::erfc(-x / std::numbers::sqrt2); };
    std::ranges::sort(draws);
    double farthest = 0;
    for (std::size_t i = 0; i < draws.size(); ++i)
        farthest = std::max(
            farthest, std::abs(below(static_cast<double>(draws[i])) - (static_cast<double>(i) + 0.5) / n));
    EXPECT_LT(farthest * std::sqrt(n), 1.63);  // 1 in 100 is larger
    for (const double x : {2.0, 3.0, 3.6541528853610088, 4.0}) {
        const double expected = n * below(-x), error = 4 * std::sqrt(expected);
        const auto low = std::ranges::count_if(draws, [&](float d) { return static_cast<double>(d) < -x; });
        const auto high = std::ranges::count_if(draws, [&](float d) { return static_cast<double>(d) > x; });
        EXPECT_NEAR(static_cast<double>(low), expected, error) << x;
        EXPECT_NEAR(static_cast<double>(high), expected, error) << x;
    }
}

TEST(DrawNormals, DoNotFollowEachOther) {
    Rng rng(4);
    std::vector<float> draws(200'000);
    draw_normals(rng, draws);
    for (const std::size_t lag : {1, 2, 3}) {
        double product = 0, of_squares = 0;
        for (std::size_t i = lag; i < draws.size(); ++i) {
            const auto a = static_cast<double>(draws[i]), b = static_cast<double>(draws[i - lag]);
            product += a * b;
            of_squares += (a * a - 1) * (b * b - 1);
        }
        const double n = static_cast<double>(draws.size());
        EXPECT_LT(std::abs(product) / std::sqrt(n), 3.5) << lag;
        EXPECT_LT(std::abs(of_squares) / std::sqrt(4 * n), 3.5) << lag;
    }
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
