#include "tomograph/statistics/probe.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "tomograph/base/random.h"

namespace tomograph {
namespace {

/// Three classes; each row's largest decision is as named.
Matrix deciding(const std::vector<std::int32_t>& for_class) {
    Matrix decisions = Matrix::Constant(static_cast<Eigen::Index>(for_class.size()), 3, -0.5f);
    for (std::size_t i = 0; i < for_class.size(); ++i)
        decisions(static_cast<Eigen::Index>(i), for_class[i]) = -0.25f;  // the largest, not the positive one
    return decisions;
}

TEST(ClassAccuracy, IsOneWhereEachRowIsDecidedForItsClass) {
    const std::vector<std::int32_t> labels{0, 1, 2, 2, 1, 0};
    EXPECT_EQ(class_accuracy(deciding(labels), labels), 1);
    EXPECT_EQ(class_accuracy(deciding({1, 2, 0, 0, 2, 1}), labels), 0);
}

// Of 0: 3 of 4; of 1: 1 of 2; of 2: 1 of 1. Rows alone would be 5 of 7.
TEST(ClassAccuracy, CountsAClassForOneWhateverItsSize) {
    const std::vector<std::int32_t> labels{0, 0, 0, 0, 1, 1, 2};
    EXPECT_DOUBLE_EQ(class_accuracy(deciding({0, 0, 0, 1, 1, 2, 2}), labels), (0.75 + 0.5 + 1) / 3);
}

TEST(ClassAccuracy, GivesADeciderOfOneClassItsShareOfClasses) {
    std::vector<std::int32_t> labels(97, 0), always(100, 0);
    labels.insert(labels.end(), {1, 1, 2});
    EXPECT_DOUBLE_EQ(class_accuracy(deciding(always), labels), 1.0 / 3);
}

TEST(ClassAccuracy, TakesWeightsForRows) {
    const std::vector<std::int32_t> labels{0, 0, 1, 2, 2};
    const Matrix decisions = deciding({0, 1, 1, 2, 0});
    const std::vector<double> twice{2, 1, 1, 0, 3};
    EXPECT_DOUBLE_EQ(class_accuracy(decisions, labels, twice), (2.0 / 3 + 1 + 0) / 3);
    // A row of weight two is two rows.
    const Matrix repeated = deciding({0, 0, 1, 1, 0, 0, 0});
    EXPECT_DOUBLE_EQ(class_accuracy(repeated, std::vector<std::int32_t>{0, 0, 0, 1, 2, 2, 2}),
                     class_accuracy(decisions, labels, twice));
}

TEST(ClassAccuracy, IsNoNumberWhereAClassHasNoRows) {
    EXPECT_TRUE(std::isnan(class_accuracy(deciding({0, 1}), std::vector<std::int32_t>{0, 1})));
    const std::vector<std::int32_t> labels{0, 1, 2};
    EXPECT_TRUE(std::isnan(class_accuracy(deciding(labels), labels, std::vector<double>{1, 1, 0})));
}

TEST(ClassAccuracy, IsChanceWhereDecisionsSayNothing) {
    constexpr Eigen::Index kRows = 30000;
    Matrix decisions(kRows, 3);
    std::vector<std::int32_t> labels;
    for (Eigen::Index i = 0; i < kRows; ++i) {
        const auto n = static_cast<std::uint64_t>(i);
        for (std::uint64_t c = 0; c < 3; ++c)
            decisions(i, static_cast<Eigen::Index>(c)) = static_cast<float>(to_unit(mix(7, n, c)));
        labels.push_back(to_unit(mix(8, n)) < 0.8 ? 0 : i % 2 == 0 ? 1 : 2);
    }
    // The smallest class has about 3000 rows: its hit rate errs by 0.009, the mean of three by less than
    // that.
    EXPECT_NEAR(class_accuracy(decisions, labels), 1.0 / 3, 0.02);
}

}  // namespace
}  // namespace tomograph
