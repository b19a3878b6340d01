#include "tomograph/statistics/ranks.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <vector>

#include "tomograph/base/random.h"

namespace tomograph {
namespace {

// scipy.stats.spearmanr gives these.
TEST(RankCorrelation, IsThatOfTheRanks) {
    const std::vector<double> a{1, 2, 3, 4, 5}, up{1, 8, 27, 64, 125}, down{5, 4, 3, 2, 1},
        mixed{5, 6, 7, 8, 7};
    EXPECT_DOUBLE_EQ(rank_correlation(a, up), 1);
    EXPECT_DOUBLE_EQ(rank_correlation(a, down), -1);
    EXPECT_NEAR(rank_correlation(a, mixed), 0.8207826816681233, 1e-12);
}

TEST(RankCorrelation, CountsByWeightAsRepeatedEntries) {
    const std::vector<double> a{3, 1, 2, 5}, b{2, 1, 5, 4}, weights{2, 1, 0, 3};
    const std::vector<double> a_long{3, 3, 1, 5, 5, 5}, b_long{2, 2, 1, 4, 4, 4};
    EXPECT_NEAR(rank_correlation(a, b, weights), rank_correlation(a_long, b_long), 1e-12);
}

TEST(RankCorrelation, IsNoNumberOfTooLittle) {
    const std::vector<double> a{1, 2}, flat{1, 1, 1}, b{1, 2, 3}, gap{1, kNoNumber, 3};
    EXPECT_TRUE(std::isnan(rank_correlation(a, a)));
    EXPECT_TRUE(std::isnan(rank_correlation(flat, b)));
    EXPECT_TRUE(std::isnan(rank_correlation(gap, b)));
}

TEST(RankCorrelation, IntervalHoldsTheTruthAsOftenAsItSays) {
    for (const int n : {6, 8, 30, 60}) {
        for (const double r : {0.0, 0.5, 0.8}) {
            const double truth = 6 / std::numbers::pi * std::asin(r / 2);  // Spearman's of normal pairs
            Rng rng(mix(7, n, static_cast<std::uint64_t>(100 * r)));
            constexpr int kSamples = 4000;
            int held = 0;
            for (int sample = 0; sample < kSamples; ++sample) {
                std::vector<double> a(n), b(n);
                for (int i = 0; i < n; ++i) {
                    a[i] = rng.normal();
                    b[i] = r * a[i] + std::sqrt(1 - r * r) * rng.normal();
                }
                const auto interval = rank_correlation_interval(rank_correlation(a, b), n);
                ASSERT_TRUE(interval);
                held += interval->lo <= truth && truth <= interval->hi ? 1 : 0;
            }
            EXPECT_GE(held, 0.93 * kSamples) << n << " pairs of " << r;
            EXPECT_LE(held, 0.99 * kSamples) << n << " pairs of " << r;
        }
    }
}

TEST(RankCorrelation, IntervalStaysAmongCorrelations) {
    for (const int n : {5, 8, 60}) {
        for (const double rho : {-1.0, -0.9, 0.0, 0.9, 1.0}) {
            const auto interval = rank_correlation_interval(rho, n);
            ASSERT_TRUE(interval);
            EXPECT_GE(interval->lo, -1);
            EXPECT_LE(interval->hi, 1);
            EXPECT_LE(interval->lo, rho);
            EXPECT_GE(interval->hi, rho);
            EXPECT_GT(interval->hi - interval->lo, 10.0 / (n * n * n)) << "order of few pairs is chance, too";
        }
    }
    EXPECT_FALSE(rank_correlation_interval(0.5, 4));
    EXPECT_FALSE(rank_correlation_interval(kNoNumber, 60));
}

}  // namespace
}  // namespace tomograph
