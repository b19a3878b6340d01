#include "tomograph/statistics/conformal.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tomograph/base/random.h"
#include "tomograph/statistics/statistics.h"

namespace tomograph {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

TEST(Conformal, CountsOrdinaryScoresAtLeastAsHigh) {
    const std::vector<double> ordinary{1, 2, 2, 3}, scores{0, 2, 2.5, 3, 4, kNaN};
    EXPECT_EQ(conformal_p(ordinary, scores), (std::vector<double>{1, 0.8, 0.4, 0.4, 0.2, 1}));
    EXPECT_EQ(conformal_p(std::vector<double>{kNaN, 1}, std::vector<double>{2}), std::vector<double>{0.5});
}

TEST(BenjaminiHochberg, StepsUpFromTheLargestThatFits) {
    // 0.03 alone exceeds 0.05 * 2 / 4, but 0.035 fits at rank 3 and takes it along.
    EXPECT_EQ(benjamini_hochberg(std::vector<double>{0.9, 0.035, 0.01, 0.03}, 0.05),
              (std::vector<std::size_t>{2, 3, 1}));
    EXPECT_TRUE(benjamini_hochberg(std::vector<double>{0.06, 0.5}, 0.05).empty());
    EXPECT_TRUE(benjamini_hochberg({}, 0.05).empty());
}

TEST(BenjaminiHochberg, WithConformalValuesRejectsOrdinaryRowsNoMoreOftenThanAsked) {
    Rng rng(3);
    int fired = 0;
    for (int repeat = 0; repeat < 400; ++repeat) {
        std::vector<double> ordinary(200), tested(100);
        for (double& value : ordinary) value = rng.normal();
        for (double& value : tested) value = rng.normal();
        fired += !benjamini_hochberg(conformal_p(ordinary, tested), 0.05).empty();
    }
    EXPECT_LE(fired, 400 * 0.075);  // 2.3 deviations above 5 %
}

TEST(Auroc, LeavesOutWhatIsNoNumber) {
    EXPECT_EQ(auroc(std::vector<double>{1, kNaN, 2, kNaN}, std::vector<std::uint8_t>{0, 1, 1, 0}), 1);
    EXPECT_TRUE(std::isnan(auroc(std::vector<double>{kNaN, kNaN}, std::vector<std::uint8_t>{0, 1})));
}

}  // namespace
}  // namespace tomograph
