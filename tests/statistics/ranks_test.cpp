#include "tomograph/statistics/ranks.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

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

}  // namespace
}  // namespace tomograph
