// Intervals of few groups, corrections for many tests, and the four verdicts.
#include "tomograph/statistics/inference.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/planted.h"

namespace tomograph {
namespace {

TEST(TInterval, IsStudents) {
    const auto interval = t_interval(std::vector<double>{1, 2, 3, 4, kNoNumber});
    ASSERT_TRUE(interval);
    EXPECT_NEAR(interval->lo, 2.5 - 3.182446 * 1.290994 / 2, 1e-4);
    EXPECT_NEAR(interval->hi, 2.5 + 3.182446 * 1.290994 / 2, 1e-4);
    EXPECT_FALSE(t_interval(std::vector<double>{1, 2}));
}

/// A ratio of means over groups, which is biased and skewed: how often its interval holds the truth, 2.
double coverage(int n_groups, int draws) {
    int held = 0;
    for (int i = 0; i < draws; ++i) {
        Rng rng(mix(21, static_cast<std::uint64_t>(i), static_cast<std::uint64_t>(n_groups)));
        std::vector<double> above, below;
        for (int g = 0; g < n_groups; ++g) {
            const double level = std::exp(0.3 * rng.normal());
            above.push_back(2 * level + 0.3 * rng.normal());
            below.push_back(level + 0.1 * rng.normal());
        }
        const Jackknife result = jackknife(n_groups, [&](std::span<const double> w) {
            double a = 0, b = 0;
            for (std::size_t g = 0; g < w.size(); ++g) {
                a += w[g] * above[g];
                b += w[g] * below[g];
            }
            return a / b;
        });
        held += result.interval && result.interval->lo <= 2 && result.interval->hi >= 2;
    }
    return static_cast<double>(held) / draws;
}

TEST(Jackknife, IntervalsOfFewGroupsHoldTheTruth) {
    for (const int n_groups : {5, 8, 32}) {
        EXPECT_GE(coverage(n_groups, 400), 0.92) << n_groups;
        EXPECT_LE(coverage(n_groups, 400), 0.98) << n_groups;
    }
}

TEST(Jackknife, OfAMeanIsTheTIntervalAndBiasGoes) {
    const std::vector<double> values{3, 1, 4, 1, 5};
    const auto mean = [&](std::span<const double> w) {
        double sum = 0, n = 0;
        for (std::size_t i = 0; i < w.size(); ++i) {
            sum += w[i] * values[i];
            n += w[i];
        }
        return sum / n;
    };
    const Jackknife result = jackknife(5, mean, 2);
    const auto student = t_interval(values);
    ASSERT_TRUE(result.interval && student);
    EXPECT_NEAR(result.interval->lo, student->lo, 1e-10);
    EXPECT_NEAR(result.corrected, 2.8, 1e-12);
    const Jackknife square = jackknife(5, [&](auto w) { return mean(w) * mean(w); });
    EXPECT_NEAR(square.corrected, 2.8 * 2.8 - 3.2 / 5, 1e-10) << "less the mean's variance";
    EXPECT_FALSE(jackknife(1.0, std::vector<double>{1, kNoNumber, 1}).interval);
}

TEST(Adjusted, AsInStatsmodels) {
    const std::vector<double> p{0.01, 0.04, 0.03, kNoNumber, 0.005};
    const auto holm = holm_adjusted(p), bh = benjamini_hochberg_adjusted(p);
    const std::vector<double> want_holm{0.03, 0.06, 0.06, 0, 0.02}, want_bh{0.02, 0.04, 0.04, 0, 0.02};
    for (const std::size_t i : {0u, 1u, 2u, 4u}) {
        EXPECT_NEAR(holm[i], want_holm[i], 1e-12) << i;
        EXPECT_NEAR(bh[i], want_bh[i], 1e-12) << i;
    }
    EXPECT_TRUE(std::isnan(holm[3]) && std::isnan(bh[3]));
}

TEST(JudgeClaim, MeansOneThingEach) {
    const Evidence found{.effect = 0.5, .interval = Interval{0.4, 0.6}, .null = 0.1, .margin = 0.05};
    EXPECT_EQ(judge_claim(found), Claim::holds);
    Evidence e = found;
    e.null = e.effect;
    e.interval = Interval{0.51, 0.6};  // corrected for bias past the effect itself
    EXPECT_EQ(judge_claim(e), Claim::undecided);
    e = found;
    e.p = 0.2;
    EXPECT_EQ(judge_claim(e), Claim::undecided) << "the interval alone is not enough";
    e.p = 0.005;
    e.twins = {{0.05, 0.1, 0.08}};
    EXPECT_EQ(judge_claim(e), Claim::holds);
    e.twins = {{0.05, 0.45, 0.3}};
    EXPECT_EQ(judge_claim(e), Claim::as_untrained);
    e.twins = {{0.05, 0.1, 0.08}, {0.45}};
    EXPECT_EQ(judge_claim(e), Claim::as_untrained) << "each kind of twin must be beaten";
    e.twins = {{0.05, 0.1, 0.08}, {0.3}};
    EXPECT_EQ(judge_claim(e), Claim::holds) << "kinds are not pooled";
    e = found;
    e.interval = Interval{-0.03, 0.04};
    EXPECT_EQ(judge_claim(e), Claim::absent);
    e.margin = 0;
    EXPECT_EQ(judge_claim(e), Claim::undecided) << "without a margin nothing is absent";
    e = found;
    e.interval = Interval{0.05, 0.9};
    EXPECT_EQ(judge_claim(e), Claim::undecided);
    const Evidence smaller{
        .effect = 3, .interval = Interval{2, 4}, .null = 5, .twins = {{9, 10}}, .larger = false};
    EXPECT_EQ(judge_claim(smaller), Claim::as_untrained) << "two twins say little";
    EXPECT_EQ(judge_claim({.effect = 3, .p = 0.001}), Claim::holds) << "exact: no interval, only p";
    EXPECT_EQ(judge_claim({.effect = 3}), Claim::undecided);
    EXPECT_STREQ(claim_name(Claim::as_untrained), "holds, as in an untrained twin");
}

}  // namespace
}  // namespace tomograph
