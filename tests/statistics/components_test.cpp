// Attention against the MLP, on clouds of which the truth is known.
#include "tomograph/statistics/components.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/planted.h"
#include "tomograph/statistics/clouds.h"
#include "tomograph/statistics/statistics.h"

namespace tomograph {
namespace {

constexpr Eigen::Index kRows = 240, kWidth = 48;
constexpr int kGroups = 8;

std::vector<std::int32_t> groups() {
    std::vector<std::int32_t> group(kRows);
    for (std::size_t i = 0; i < group.size(); ++i) group[i] = static_cast<std::int32_t>(i % kGroups);
    return group;
}

/// Rows in the span of `basis` rows [first, first + k).
Matrix cloud(const MatrixD& basis, Eigen::Index first, Eigen::Index k, Rng& rng) {
    return (planted::gaussian(kRows, k, rng) * basis.middleRows(first, k)).cast<float>();
}

TEST(SharedSpread, TellsDisjointRandomAndIdenticalApart) {
    Rng rng(1);
    const auto group = groups();
    const MatrixD basis = planted::rotation(kWidth, rng), other = planted::rotation(kWidth, rng);
    const Matrix a = cloud(basis, 0, 12, rng), apart = cloud(basis, 12, 12, rng),
                 random = cloud(other, 0, 12, rng), same = cloud(basis, 0, 12, rng);
    const auto overlap = [&](const Matrix& b) { return SharedSpread(a, group, b, group, kGroups).overlap(); };
    EXPECT_NEAR(overlap(apart), 0, 1e-4);
    EXPECT_NEAR(overlap(random), 1, 0.3);
    EXPECT_NEAR(overlap(same), 4, 0.4) << "d / participation ratio";
    const SharedSpread self(a, group, a, group, kGroups);
    EXPECT_NEAR(self.participation_a(), 12, 0.7);
    EXPECT_NEAR(self.overlap(), kWidth / self.participation_a(), 1e-6);
    EXPECT_TRUE(std::isnan(
        SharedSpread(a, std::vector<std::int32_t>(kRows, 0), a, std::vector<std::int32_t>(kRows, 0), 1)
            .overlap()));
}

TEST(SharedSpread, RandomDeviationIsThatOfRandomRotations) {
    Rng rng(2);
    const auto group = groups();
    const MatrixD basis = planted::rotation(kWidth, rng);
    const Matrix a = cloud(basis, 0, 6, rng), b = cloud(basis, 0, 9, rng);
    std::vector<double> values;
    for (int i = 0; i < 60; ++i)
        values.push_back(
            SharedSpread(a, group, b * planted::rotation(kWidth, rng).cast<float>(), group, kGroups)
                .overlap());
    double mean = 0, squares = 0;
    for (const double value : values) mean += value / 60;
    for (const double value : values) squares += (value - mean) * (value - mean) / 59;
    const double deviation = SharedSpread(a, group, b, group, kGroups).random_deviation();
    EXPECT_NEAR(mean, 1, 4 * deviation / std::sqrt(60.0));
    EXPECT_NEAR(std::sqrt(squares), deviation, 0.35 * deviation);
}

// Few rows in many dimensions: moments of the same rows would say that independent clouds are far from 1.
TEST(SharedSpread, HasNoBiasOfFewRows) {
    Rng rng(3);
    double sum = 0;
    for (int i = 0; i < 40; ++i) {
        const Matrix a = planted::gaussian(40, 200, rng).cast<float>(),
                     b = planted::gaussian(40, 200, rng).cast<float>();
        std::vector<std::int32_t> group(40);
        for (std::size_t g = 0; g < group.size(); ++g) group[g] = static_cast<std::int32_t>(g / 5);
        sum += SharedSpread(a, group, a, group, 8).overlap() / 40;
        EXPECT_NEAR(SharedSpread(a, group, b, group, 8).overlap(), 1, 0.2);
    }
    EXPECT_NEAR(sum, 1, 0.1) << "white clouds have a participation ratio of d";
}

TEST(PairedCosine, StandsOutOnlyWhereRowsBelongTogether) {
    Rng rng(4);
    const auto group = groups();
    const Matrix a = unit_rows(planted::gaussian(kRows, kWidth, rng).cast<float>()),
                 free = unit_rows(planted::gaussian(kRows, kWidth, rng).cast<float>()),
                 tied = unit_rows(Matrix(a + free));
    const double chance = 1 / std::sqrt(static_cast<double>(kWidth));
    EXPECT_NEAR(PairedCosine(a, free, group, kGroups).rms(), chance, 0.2 * chance);
    EXPECT_NEAR(SharedSpread(a, group, tied, group, kGroups, false).rms_product(), chance, 0.1 * chance);
    EXPECT_NEAR(PairedCosine(a, tied, group, kGroups).rms(), std::sqrt(0.5), 0.05);
}

TEST(TwoWayShares, FindWhatWasPlantedAndNothingInNoise) {
    constexpr int kComponents = 2, kLayers = 6, kCell = 50, kDims = 10;
    const auto shares = [&](double component, double layer, double interaction, std::uint64_t seed) {
        Rng rng(seed);
        const auto scaled = [&](Eigen::Index n, double size) {
            MatrixD x = planted::gaussian(n, kDims, rng);
            x.rowwise() -= x.colwise().mean().eval();
            return MatrixD(x * (size > 0 ? std::sqrt(size * static_cast<double>(n) / x.squaredNorm()) : 0));
        };
        const MatrixD by_component = scaled(kComponents, component), by_layer = scaled(kLayers, layer);
        MatrixD cross = scaled(kLayers, interaction);
        MatrixD sums = MatrixD::Zero(kComponents * kLayers, kDims);
        double squares = 0;
        for (int c = 0; c < kComponents; ++c) {
            for (int l = 0; l < kLayers; ++l) {
                for (int i = 0; i < kCell; ++i) {
                    const Eigen::RowVectorXd row =
                        by_component.row(c) + by_layer.row(l) + (c == 0 ? 1 : -1) * cross.row(l) +
                        planted::gaussian(1, kDims, rng).row(0) / std::sqrt(kDims * 1.0);
                    sums.row(c * kLayers + l) += row;
                    squares += row.squaredNorm();
                }
            }
        }
        return two_way_shares(sums, kComponents, kLayers, kCell, squares);
    };
    const TwoWayShares found = shares(2, 1, 0.5, 1);
    EXPECT_NEAR(found.row, 2 / 4.5, 0.03);
    EXPECT_NEAR(found.column, 1 / 4.5, 0.03);
    EXPECT_NEAR(found.interaction, 0.5 / 4.5, 0.03);
    EXPECT_NEAR(found.row + found.column + found.interaction + found.residual, 1, 1e-9);
    double sum = 0;
    for (std::uint64_t i = 0; i < 20; ++i) sum += shares(0, 0, 0, 100 + i).interaction / 20;
    EXPECT_NEAR(sum, 0, 0.002) << "plain eta squared would be 5 / 599 on average";
}

TEST(LeftOutLayersProbe, IsAboveChanceOnlyWhereLayersShareADirection) {
    Rng rng(6);
    const auto group = groups();
    std::vector<Matrix> a, b, own_a, own_b;
    const MatrixD shared = planted::gaussian(1, kWidth, rng);
    for (int l = 0; l < 6; ++l) {
        const MatrixD own = planted::gaussian(1, kWidth, rng);
        const auto noisy = [&](const MatrixD& middle, double sign) {
            return Matrix((planted::gaussian(kRows, kWidth, rng).rowwise() +
                           Eigen::RowVectorXd(sign * 0.35 * middle.row(0)))
                              .cast<float>());
        };
        a.push_back(noisy(shared, 1));
        b.push_back(noisy(shared, -1));
        own_a.push_back(noisy(own, 1));
        own_b.push_back(noisy(own, -1));
    }
    const auto probe = [&](std::span<const Matrix> of_a, std::span<const Matrix> of_b) {
        return LeftOutLayersProbe(of_a, of_b, group, kGroups, 4, 9, 1);
    };
    const LeftOutLayersProbe alike = probe(a, b);
    for (const double accuracy : alike.by_layer()) EXPECT_GT(accuracy, 0.9);
    EXPECT_GT(alike.accuracy(), 0.9);
    for (const double accuracy : alike.shuffled()) EXPECT_NEAR(accuracy, 0.5, 0.2);
    EXPECT_EQ(alike.shuffled().size(), 9u);
    EXPECT_NEAR(probe(own_a, own_b).accuracy(), 0.5, 0.2) << "each layer apart, but every one its own way";
    EXPECT_TRUE(std::isnan(probe(std::span(a).first(1), std::span(b).first(1)).accuracy()));
    // A group that is left out does not count.
    std::vector<double> weights(kGroups, 1.0);
    weights[0] = 0;
    EXPECT_NE(alike.accuracy(weights), alike.accuracy());
}

TEST(LeftOutLayersProbe, IsAtChanceInNoise) {
    double sum = 0;
    constexpr int kDraws = 12;
    for (std::uint64_t i = 0; i < kDraws; ++i) {
        Rng rng(50 + i);
        std::vector<Matrix> a, b;
        for (int l = 0; l < 4; ++l) {
            a.push_back(planted::gaussian(kRows, kWidth, rng).cast<float>());
            b.push_back(planted::gaussian(kRows, kWidth, rng).cast<float>());
        }
        sum += LeftOutLayersProbe(a, b, groups(), kGroups, 4, 0, 1).accuracy() / kDraws;
    }
    EXPECT_NEAR(sum, 0.5, 0.01);
}

TEST(CurvesByLayer, ContrastsAndHalves) {
    EXPECT_NEAR(middle_less_first(std::vector<double>{0, 0, 1, 1, 1, 1, 5, 5}), 1, 1e-12);
    EXPECT_TRUE(std::isnan(middle_less_first(std::vector<double>{1, 2})));
    EXPECT_EQ(first_at_half(std::vector<double>{0.1, 0.2, 0.45, 0.8, 0.7}), 2);
    EXPECT_EQ(first_at_half(std::vector<double>{-1, 0}), -1);
    const SpreadTighten bulge = spread_then_tighten(std::vector<double>{1, 2, 4, 4, 4, 4, 2, 1});
    EXPECT_NEAR(bulge.rise, std::log(4.0), 1e-12);
    EXPECT_NEAR(bulge.fall, -std::log(4.0), 1e-12);
    EXPECT_EQ(bulge.peak, 2);
    EXPECT_GT(spread_then_tighten(std::vector<double>{1, 2, 3, 4, 5}).fall, 0) << "no tightening";
}

}  // namespace
}  // namespace tomograph
