#include "tomograph/statistics/label_share.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "tomograph/base/random.h"

namespace tomograph {
namespace {

constexpr Eigen::Index kRows = 400, kWidth = 12;
constexpr int kClasses = 4, kGroups = 8;

/// Unit-scale noise, each class shifted along a coordinate of its own.
struct Clouds {
    Matrix rows{kRows, kWidth};
    std::vector<std::int32_t> label, group;

    explicit Clouds(double shift, std::uint64_t seed = 1) {
        Rng rng(seed);
        for (Eigen::Index i = 0; i < kRows; ++i) {
            label.push_back(static_cast<std::int32_t>(rng.below(kClasses)));
            group.push_back(static_cast<std::int32_t>(i * kGroups / kRows));
            for (float& value : rows.row(i)) value = static_cast<float>(rng.normal());
            rows(i, label.back()) += static_cast<float>(shift);
        }
    }
    double share() const { return LabelShare(rows, group, kGroups).value(label, kClasses); }
};

/// By the definition, pair by pair of row and mean, in float64.
double naive_share(const Clouds& clouds) {
    MatrixD unit = clouds.rows.cast<double>();
    for (Eigen::Index i = 0; i < unit.rows(); ++i) unit.row(i).normalize();
    const Eigen::RowVectorXd all = unit.colwise().mean();
    double within = 0, total = 0;
    for (int c = 0; c < kClasses; ++c) {
        Eigen::RowVectorXd mean = Eigen::RowVectorXd::Zero(kWidth);
        double n = 0;
        for (Eigen::Index i = 0; i < unit.rows(); ++i) {
            if (clouds.label[static_cast<std::size_t>(i)] != c) continue;
            mean += unit.row(i);
            ++n;
        }
        mean /= n;
        for (Eigen::Index i = 0; i < unit.rows(); ++i) {
            if (clouds.label[static_cast<std::size_t>(i)] != c) continue;
            within += (unit.row(i) - mean).squaredNorm();
            total += (unit.row(i) - all).squaredNorm();
        }
    }
    return 1 - within / total * (kRows - 1) / (kRows - kClasses);
}

TEST(LabelShare, IsItsDefinition) {
    for (const double shift : {0.0, 1.0, 5.0}) {
        const Clouds clouds(shift);
        EXPECT_NEAR(clouds.share(), naive_share(clouds), 1e-6) << shift;
    }
}

TEST(LabelShare, IsZeroOnAverageWhereLabelsKnowNothing) {
    double sum = 0;
    for (std::uint64_t seed = 0; seed < 50; ++seed) sum += Clouds(0, seed).share();
    EXPECT_NEAR(sum / 50, 0, 1e-3);
}

TEST(LabelShare, IsAllWhereEachClassIsOnePoint) {
    Clouds clouds(0);
    clouds.rows.setZero();
    for (Eigen::Index i = 0; i < kRows; ++i) clouds.rows(i, clouds.label[static_cast<std::size_t>(i)]) = 3;
    EXPECT_NEAR(clouds.share(), 1, 1e-6);
}

TEST(LabelShare, LeavesEachGroupOut) {
    const Clouds clouds(1);
    const auto left_out = LabelShare(clouds.rows, clouds.group, kGroups).left_out(clouds.label, kClasses);
    ASSERT_EQ(left_out.size(), static_cast<std::size_t>(kGroups));
    constexpr Eigen::Index kEach = kRows / kGroups;
    const std::vector<std::int32_t> labels(clouds.label.begin() + kEach, clouds.label.end());
    const std::vector<std::int32_t> one_group(labels.size(), 0);
    EXPECT_NEAR(left_out[0],
                LabelShare(clouds.rows.bottomRows(kRows - kEach), one_group, 1).value(labels, kClasses),
                1e-6);
}

TEST(LabelShare, IsNoNumberWhereNothingVaries) {
    Clouds clouds(0);
    clouds.rows.setOnes();
    EXPECT_TRUE(std::isnan(clouds.share()));
    Clouds apart(0);
    std::iota(apart.label.begin(), apart.label.end(), 0);
    EXPECT_TRUE(std::isnan(LabelShare(apart.rows, apart.group, kGroups).value(apart.label, kRows)));
}

}  // namespace
}  // namespace tomograph
