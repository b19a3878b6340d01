// Ways through points, shares inside subspaces, exact shares, and what pairs of groups add to an error.
#include <gtest/gtest.h>

#include <cmath>

#include "support/planted.h"
#include "tomograph/statistics/distributions.h"
#include "tomograph/statistics/inference.h"
#include "tomograph/statistics/statistics.h"
#include "tomograph/statistics/subspaces.h"
#include "tomograph/statistics/trajectories.h"

namespace tomograph {
namespace {

TEST(WayLength, OfALineIsShorterThanAnyOtherOrder) {
    MatrixD line(20, 3);
    for (Eigen::Index i = 0; i < line.rows(); ++i) line.row(i).setConstant(static_cast<double>(i));
    const WayLength way = way_length(line, 199, 1);
    EXPECT_NEAR(way.length, 19 * std::sqrt(3), 1e-12);
    EXPECT_GT(way.shortest, 3 * way.length);
    EXPECT_NEAR(way.p, 0.005, 1e-12);
}

TEST(WayLength, OfPointsInNoOrderIsShortBy5PercentOfThem) {
    int called = 0;
    constexpr int kDraws = 400;
    for (int i = 0; i < kDraws; ++i) {
        Rng rng(mix(5, static_cast<std::uint64_t>(i)));
        called += way_length(planted::gaussian(12, 6, rng), 99, static_cast<std::uint64_t>(i)).p <= 0.05;
    }
    EXPECT_LE(called, 34) << "5 % are 20";
    EXPECT_GE(called, 8);
}

TEST(WayLength, OfTwoPointsHasNoOther) {
    EXPECT_TRUE(std::isnan(way_length(MatrixD::Identity(2, 2), 99, 1).p));
}

MatrixD first_axes(Eigen::Index k, Eigen::Index d) {
    return MatrixD::Identity(k, d);
}

TEST(ShareInside, FindsRowsThatLieInASubspaceAndChanceElsewhere) {
    Rng rng(3);
    MatrixD rows = planted::gaussian(200, 20, rng);
    rows.rightCols(17) *= 0.1;
    const InsideShare inside = share_inside(rows, first_axes(3, 20), 199, 1);
    EXPECT_GT(inside.value, 0.9);
    EXPECT_NEAR(inside.p, 0.005, 1e-12);
    EXPECT_LT(inside.random, 0.6);
    const InsideShare white = share_inside(planted::gaussian(4000, 20, rng), first_axes(3, 20), 0, 1);
    EXPECT_NEAR(white.value, 3.0 / 20, 0.01);
    EXPECT_TRUE(std::isnan(white.p));
}

TEST(ShareInside, OfRowsOfNoParticularDirectionIsRareBy5Percent) {
    int called = 0;
    for (int i = 0; i < 300; ++i) {
        Rng rng(mix(6, static_cast<std::uint64_t>(i)));
        // Few directions hold them: the hard case.
        const MatrixD rows = planted::gaussian(40, 2, rng) * planted::rotation(16, rng).topRows(2);
        called += share_inside(rows, first_axes(4, 16), 99, static_cast<std::uint64_t>(i)).p <= 0.05;
    }
    EXPECT_LE(called, 27) << "5 % are 15";
    EXPECT_GE(called, 5);
}

TEST(ShareInside, OfEqualRowsIsNone) {
    EXPECT_TRUE(std::isnan(share_inside(MatrixD::Constant(30, 8, 2.0), first_axes(2, 8), 9, 1).value));
}

TEST(BinomialInterval, IsClopperAndPearsons) {
    const Interval some = binomial_interval(3, 8), none = binomial_interval(0, 8),
                   all = binomial_interval(8, 8);
    // As scipy.stats.binomtest(3, 8).proportion_ci(method="exact").
    EXPECT_NEAR(some.lo, 0.08523341, 1e-7);
    EXPECT_NEAR(some.hi, 0.75513678, 1e-7);
    EXPECT_EQ(none.lo, 0);
    EXPECT_NEAR(none.hi, 1 - std::pow(0.025, 1.0 / 8), 1e-9);
    EXPECT_NEAR(all.lo, std::pow(0.025, 1.0 / 8), 1e-9);
    EXPECT_EQ(all.hi, 1);
    const Interval nothing = binomial_interval(0, 0);
    EXPECT_EQ(nothing.lo, 0);
    EXPECT_EQ(nothing.hi, 1);
}

/// The mean of products of different values, a statistic of pairs, whose mean is 0.
Jackknife mean_product(const std::vector<double>& values, bool pairs) {
    const auto statistic = [&](std::span<const double> w) {
        double sum = 0, squares = 0, n = 0;
        for (std::size_t i = 0; i < values.size(); ++i) {
            sum += w[i] * values[i];
            squares += w[i] * values[i] * values[i];
            n += w[i];
        }
        return (sum * sum - squares) / (n * (n - 1));
    };
    const int n = static_cast<int>(values.size());
    if (!pairs) return jackknife(n, statistic);
    std::vector<double> ones(values.size(), 1.0), left_out, pairs_out;
    const double all = statistic(ones);
    for (double& one : ones) {
        one = 0;
        left_out.push_back(statistic(ones));
        one = 1;
    }
    leave_out_pairs(n, [&](auto w) { pairs_out.push_back(statistic(w)); });
    return jackknife(all, left_out, pairs_out);
}

/// Mean square of the error that the jackknife gives over the true one.
double error_ratio(int n, bool pairs) {
    constexpr int kDraws = 4000;
    double estimated = 0, square = 0;
    for (int i = 0; i < kDraws; ++i) {
        Rng rng(mix(9, static_cast<std::uint64_t>(n), static_cast<std::uint64_t>(i)));
        std::vector<double> values;
        for (int g = 0; g < n; ++g) values.push_back(rng.normal());
        const Jackknife result = mean_product(values, pairs);
        estimated += result.error * result.error;
        square += result.value * result.value;
    }
    return estimated / square;
}

TEST(JackknifeOfPairs, IsRightWhereTheOrdinaryOneIsTwiceAsWide) {
    for (const int n : {8, 32}) {
        EXPECT_GT(error_ratio(n, false), 1.8) << n;
        // A little wide: it is kept from being too narrow, and products of single numbers vary much.
        EXPECT_GT(error_ratio(n, true), 0.95) << n;
        EXPECT_LT(error_ratio(n, true), 1.65) << n;
    }
    EXPECT_EQ(error_ratio(5, true), error_ratio(5, false)) << "too few to say what pairs add";
}

TEST(JackknifeOfPairs, OfAMeanIsTheOrdinaryOne) {
    const std::vector<double> values{3, 1, 4, 1, 5, 9, 2, 6};
    const auto mean = [&](std::span<const double> w) {
        double sum = 0, n = 0;
        for (std::size_t i = 0; i < values.size(); ++i) sum += w[i] * values[i], n += w[i];
        return sum / n;
    };
    std::vector<double> ones(values.size(), 1.0), left_out, pairs_out;
    for (double& one : ones) {
        one = 0;
        left_out.push_back(mean(ones));
        one = 1;
    }
    leave_out_pairs(8, [&](auto w) { pairs_out.push_back(mean(w)); });
    ASSERT_EQ(pairs_out.size(), 28u);
    const Jackknife ordinary = jackknife(8, mean), result = jackknife(mean(ones), left_out, pairs_out);
    EXPECT_NEAR(result.error, ordinary.error, 1e-9);
    EXPECT_NEAR(result.interval->lo, ordinary.interval->lo, 1e-8);
    // Without the pairs there is nothing to take out.
    EXPECT_EQ(jackknife(mean(ones), left_out, {}).error, ordinary.error);
}

}  // namespace
}  // namespace tomograph
