// Curves, lattices and outliers of which the truth is known.
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <numeric>

#include "tomograph/base/random.h"
#include "tomograph/statistics/lattice.h"
#include "tomograph/statistics/median_interval.h"
#include "tomograph/statistics/outliers.h"
#include "tomograph/statistics/phases.h"
#include "tomograph/statistics/positions.h"
#include "tomograph/statistics/statistics.h"

namespace tomograph {
namespace {

constexpr Eigen::Index kLength = 256;

TEST(PairPhases, FindQuadratureAndFrequency) {
    MatrixD points(kLength, 3);
    for (Eigen::Index t = 0; t < kLength; ++t) {
        const double angle = 2 * std::numbers::pi * 7 * static_cast<double>(t) / kLength;
        points.row(t) << std::cos(angle), std::sin(angle), std::cos(angle + std::numbers::pi / 6);
    }
    const auto pairs = pair_phases(points);
    ASSERT_EQ(pairs.size(), 3u);
    EXPECT_NEAR(pairs[0].phase, 90, 2);
    EXPECT_NEAR(pairs[1].phase, 30, 2);
    EXPECT_EQ(pairs[0].turns, 7);
    EXPECT_GT(pairs[0].power_share, 0.95);
}

MatrixD grid_cloud(double noise, bool chain) {
    Rng rng(8);
    MatrixD points(400, 3);
    for (Eigen::Index i = 0; i < points.rows(); ++i) {
        const auto x = static_cast<double>(i % 20);
        const double y = chain ? 6 * rng.normal() : static_cast<double>(i / 20) * 0.9;
        points.row(i) << x + noise * rng.normal(), y + noise * rng.normal(), 0.5 * rng.normal();
    }
    return points;
}

TEST(Lattice, AGridScoresFarAboveChainsAndGaussianClouds) {
    const double gaussian = gaussian_lattice_score(400, 3, 1);
    EXPECT_GT(lattice_score(grid_cloud(0.02, false)).score, 0.7);
    EXPECT_GT(lattice_score(grid_cloud(0.1, false)).score, 4 * gaussian);
    EXPECT_LT(lattice_score(grid_cloud(0.02, true)).score, 3 * gaussian) << "rows in one direction only";
    EXPECT_LT(gaussian, 0.05);
    EXPECT_TRUE(std::isnan(lattice_score(MatrixD::Zero(8, 3)).score));
}

TEST(Lattice, NoiseCountsForLittleAndALatticeStillForMuch) {
    const MatrixD grid = grid_cloud(0.1, false);
    // Its x has a variance of 33, its y of 27; 0.01 of each is the noise.
    const LatticeScore told = lattice_score(grid, {.noise = {0.01, 0.01, 0.25}});
    EXPECT_GT(told.score, 0.5 * lattice_score(grid).score);
    const double gaussian = gaussian_lattice_score(60, 3, 1),
                 noisy = gaussian_lattice_score(60, 3, 1, {0.1, 0.1, 0.1});
    EXPECT_GT(gaussian, 0.1);
    EXPECT_LT(noisy, 0.3 * gaussian);
}

TEST(Positions, ShareIsZeroWithoutStructureAndBootstrapsWithoutBias) {
    Rng rng(4);
    PositionTable noise(12, 40, 6), structured(12, 40, 6);
    Matrix shape(40, 6);
    for (float& value : shape.reshaped()) value = static_cast<float>(rng.normal());
    for (int s = 0; s < 12; ++s) {
        Matrix rows(40, 6);
        for (float& value : rows.reshaped()) value = static_cast<float>(rng.normal());
        noise.add(s, rows);
        structured.add(s, rows + shape);
    }
    noise.finish();
    structured.finish();
    EXPECT_NEAR(noise.shared(), 0, 0.02);
    EXPECT_NEAR(noise.eta2(), noise.shuffled_eta2(), 0.03);
    EXPECT_NEAR(structured.shared(), 0.5, 0.05);
    const auto interval = bootstrap(12, {}, [&](std::span<const double> w) { return structured.shared(w); });
    ASSERT_TRUE(interval);
    EXPECT_LT(interval->lo, structured.shared());
    EXPECT_GT(interval->hi, structured.shared());
    EXPECT_LT(interval->hi - interval->lo, 0.2);
}

/// A correlated cloud of 2000 rows, the first `planted` of which `plant` changes; AUROC of finding them.
template <class Plant>
double auroc_of(Eigen::Index planted, Plant plant) {
    Rng rng(6);
    Matrix rows(2000, 48);
    for (Eigen::Index i = 0; i < rows.rows(); ++i) {
        const double common = rng.normal();
        for (Eigen::Index c = 0; c < rows.cols(); ++c)
            rows(i, c) = static_cast<float>(2 + (c % 7) * 0.2 * common + (c < 24 ? 1.0 : 0.1) * rng.normal());
    }
    for (Eigen::Index i = 0; i < planted; ++i) plant(rows, i);
    std::vector<double> norms, scores;
    std::vector<std::uint8_t> truth;
    for (Eigen::Index i = 0; i < rows.rows(); ++i) {
        norms.push_back(rows.row(i).norm());
        truth.push_back(i < planted);
    }
    const OutlierModel model(rows, fit_pca(MatrixRows(rows), {.n_components = 40}), {});
    for (const ScoredRow& row : combine_outlier_scores(norms, model.distances(rows)))
        scores.push_back(row.score);
    return auroc(scores, truth);
}

TEST(Outliers, ScaledRowsAreFound) {
    EXPECT_GE(auroc_of(20, [](Matrix& rows, Eigen::Index i) { rows.row(i) *= 3; }), 0.99);
    EXPECT_GE(auroc_of(20, [](Matrix& rows, Eigen::Index i) { rows.row(i) *= 0.2f; }), 0.99);
}

TEST(Outliers, RowsOffTheCloudAtAnOrdinaryNormAreFound) {
    EXPECT_GE(auroc_of(20, [](Matrix& rows, Eigen::Index i) { rows.row(i).reverseInPlace(); }), 0.95);
    EXPECT_NEAR(auroc_of(200, [](Matrix&, Eigen::Index) {}), 0.5, 0.06) << "nothing planted, nothing found";
}

TEST(RobustZ, RoundingBetweenEqualValuesIsNoDeviation) {
    const std::vector<double> values{1, 1 + 1e-9, 1, 1 - 1e-9};
    for (const double z : robust_z(values, 1e-3)) EXPECT_NEAR(z, 0, 1e-5);
}

TEST(MedianInterval, CoversTheMedianOfASkewedDistribution) {
    for (const int n : {6, 8, 32}) {
        int covered = 0;
        constexpr int kDraws = 2000;
        for (int draw = 0; draw < kDraws; ++draw) {
            Rng rng(mix(7, static_cast<std::uint64_t>(n), static_cast<std::uint64_t>(draw)));
            std::vector<double> values;
            for (int i = 0; i < n; ++i) values.push_back(std::exp(2 * rng.normal()));  // median 1
            const auto interval = median_interval(values);
            ASSERT_TRUE(interval);
            covered += interval->lo <= 1 && interval->hi >= 1;
        }
        EXPECT_GE(covered, kDraws * 94 / 100) << n;
        EXPECT_LE(covered, kDraws * 99 / 100 + 20) << n;
    }
    EXPECT_FALSE(median_interval({1, 2, 3, 4}));
    EXPECT_EQ(median_interval({5, 4, 3, 2, 1})->hi, 5);
}

// Percentiles alone hold the mean of 5 normal values in 82 of 100 draws.
TEST(Bootstrap, OfFewGroupsHoldsTheTruthAsOftenAsItSays) {
    for (const int n : {5, 8, 32}) {
        constexpr int kDraws = 600;
        int held = 0;
        for (int i = 0; i < kDraws; ++i) {
            Rng rng(mix(77, static_cast<std::uint64_t>(n), static_cast<std::uint64_t>(i)));
            std::vector<double> values;
            for (int g = 0; g < n; ++g) values.push_back(rng.normal());
            const auto mean = [&](std::span<const double> w) {
                return std::inner_product(w.begin(), w.end(), values.begin(), 0.0) / n;
            };
            const auto interval =
                bootstrap(n, {.replicates = 100, .seed = static_cast<std::uint64_t>(i)}, mean);
            ASSERT_TRUE(interval);
            held += interval->lo <= 0 && interval->hi >= 0;
        }
        EXPECT_GE(held, kDraws * 92 / 100) << n;
        EXPECT_LE(held, kDraws * 98 / 100) << n;
    }
    EXPECT_NEAR(small_sample_reach(5), 1.584, 1e-3);
    EXPECT_NEAR(small_sample_reach(32), 1.057, 1e-3);
}

TEST(Bootstrap, EndsWhereTheStatisticDoes) {
    const std::vector<double> shares{1, 1, 1, 1, 0.4};
    const auto share = [&](std::span<const double> w) {
        return std::inner_product(w.begin(), w.end(), shares.begin(), 0.0) / 5;
    };
    EXPECT_GT(bootstrap(5, {}, share)->hi, 1);
    EXPECT_EQ(bootstrap(5, {.most = 1}, share)->hi, 1);
    EXPECT_EQ(bootstrap(5, {.most = 1}, share)->lo, bootstrap(5, {}, share)->lo);
    EXPECT_EQ(bootstrap(5, {.least = 0.9}, share)->lo, 0.9);
}

TEST(Bootstrap, TooFewGroupsGiveNoInterval) {
    const auto mean = [](std::span<const double> w) { return w[0]; };
    EXPECT_FALSE(bootstrap(4, {}, mean));
    EXPECT_TRUE(bootstrap(5, {}, mean));
    const auto weights = bootstrap_weights(10, 1, 3);
    EXPECT_EQ(std::accumulate(weights.begin(), weights.end(), 0.0), 10);
    EXPECT_EQ(weights, bootstrap_weights(10, 1, 3));
    EXPECT_NE(weights, bootstrap_weights(10, 1, 4));
}

}  // namespace
}  // namespace tomograph
