// What rows share by position and by sequence, by coordinate, and how many dimensions they fill.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "support/planted.h"
#include "tomograph/statistics/concentration.h"
#include "tomograph/statistics/dimension.h"
#include "tomograph/statistics/positions.h"
#include "tomograph/statistics/statistics.h"

namespace tomograph {
namespace {

/// Sequences with a mean, a curve by position and a place by sequence of these variances, noise of
/// variance 1.
PositionTable planted_table(double mean, double position, double context, int n_sequences,
                            std::uint64_t seed) {
    constexpr Eigen::Index kPositions = 20, kDims = 24;
    Rng rng(seed);
    const auto vectors = [&](Eigen::Index n, double variance) {
        return MatrixD(planted::gaussian(n, kDims, rng) * std::sqrt(variance / kDims));
    };
    const MatrixD common = vectors(1, mean);
    MatrixD curve = vectors(kPositions, position);
    curve.rowwise() -= curve.colwise().mean().eval();
    PositionTable table(n_sequences, kPositions, kDims);
    for (int s = 0; s < n_sequences; ++s) {
        const MatrixD place = common + vectors(1, context);
        table.add(s, ((curve + vectors(kPositions, 1)).rowwise() + place.row(0)).cast<float>());
    }
    table.finish();
    return table;
}

TEST(PositionSplit, FindsWhatWasPlantedAndNothingInNoise) {
    PositionTable::Split sum, nothing;
    constexpr int kDraws = 60;
    for (std::uint64_t i = 0; i < kDraws; ++i) {
        for (const bool planted : {true, false}) {
            const auto split =
                planted ? planted_table(2, 1, 0.5, 6, i).split() : planted_table(0, 0, 0, 6, i).split();
            PositionTable::Split& to = planted ? sum : nothing;
            to.mean += split.mean / kDraws;
            to.position += split.position / kDraws;
            to.context += split.context / kDraws;
            EXPECT_NEAR(split.mean + split.position + split.context + split.residual, 1, 1e-12);
        }
    }
    EXPECT_NEAR(sum.mean, 2 / 4.5, 0.03);
    EXPECT_NEAR(sum.position, 0.95 / 4.5, 0.02);
    EXPECT_NEAR(sum.context, 0.5 / 4.5, 0.02);
    EXPECT_NEAR(nothing.mean, 0, 0.003);
    EXPECT_NEAR(nothing.position, 0, 0.003) << "of six sequences: eta squared would be 1 / 6";
    EXPECT_NEAR(nothing.context, 0, 0.003);
    EXPECT_TRUE(std::isnan(planted_table(1, 1, 1, 1, 1).split().position));
}

TEST(PositionSplit, LeavingAGroupOutIsNotHavingIt) {
    const PositionTable all = planted_table(1, 1, 1, 5, 3);
    const auto left = all.split(std::vector<double>{1, 1, 1, 0, 0});
    EXPECT_NEAR(left.mean + left.position + left.context + left.residual, 1, 1e-12);
    EXPECT_NE(left.mean, all.split().mean);
}

TEST(Anisotropy, WithoutRogueCoordinatesAndCentred) {
    Rng rng(4);
    Matrix rows = planted::gaussian(300, 40, rng).cast<float>();
    const AnisotropyForms none = anisotropy_forms(rows);
    EXPECT_NEAR(none.raw, 0, 0.01);
    rows.col(7).array() += 12;
    rows.col(20).array() -= 6;
    const AnisotropyForms rogue = anisotropy_forms(rows);
    EXPECT_GT(rogue.raw, 0.75);
    EXPECT_NEAR(rogue.without_rogue, 0, 0.02);
    EXPECT_NEAR(rogue.centred, 0, 0.02);
    EXPECT_EQ(rogue.rogue[0], 7);
    EXPECT_EQ(rogue.rogue[1], 20);
    EXPECT_GT(rogue.rogue_share, 0.98);
    EXPECT_NEAR(cosine_contributions(rows).sum(), rogue.raw, 1e-12);
    const std::vector<std::int32_t> group(300, 0);
    EXPECT_NEAR(rogue.raw, Anisotropy(rows, group, 1).value(), 1e-6);
    // A direction that no coordinate holds stays when the largest three are gone.
    const Matrix spread = planted::gaussian(300, 40, rng).cast<float>().array() + 2;
    EXPECT_GT(anisotropy_forms(spread).without_rogue, 0.75);
}

TEST(NearestOfOtherGroups, NeighboursInTheTextDoNotMakeALine) {
    // Each sequence is a short path through a cloud of eight dimensions: its own steps are its nearest rows.
    Rng rng(5);
    constexpr Eigen::Index kSequences = 60, kSteps = 10;
    Matrix rows(kSequences * kSteps, 8);
    std::vector<std::int32_t> group;
    for (Eigen::Index s = 0; s < kSequences; ++s) {
        const MatrixD start = planted::gaussian(1, 8, rng) * 3, way = planted::gaussian(1, 8, rng) * 0.1;
        for (Eigen::Index t = 0; t < kSteps; ++t) {
            // Steps that grow, so that no two neighbours are equally near.
            rows.row(s * kSteps + t) =
                (start + way * std::pow(1.5, static_cast<double>(t)) * 0.1).row(0).cast<float>();
            group.push_back(static_cast<std::int32_t>(s));
        }
    }
    const Matrix others = nearest_of_other_groups(rows, group, 3, 2);
    std::vector<std::int32_t> own(group.size());
    for (std::size_t i = 0; i < own.size(); ++i) own[i] = static_cast<std::int32_t>(i);
    const Matrix any = nearest_of_other_groups(rows, own, 2);
    EXPECT_LT(any(15, 0), others(15, 0));
    for (Eigen::Index i = 0; i < rows.rows(); ++i) {
        ASSERT_LE(others(i, 0), others(i, 1));
        ASSERT_LE(others(i, 1), others(i, 2));
    }
    EXPECT_EQ(nearest_of_other_groups(rows, std::vector<std::int32_t>(group.size(), 0), 2)(3, 0), 0);
    std::vector<double> to_others;
    for (Eigen::Index j = 0; j < rows.rows(); ++j)
        if (group[static_cast<std::size_t>(j)] != group[33])
            to_others.push_back((rows.row(33) - rows.row(j)).norm());
    std::ranges::sort(to_others);
    for (Eigen::Index c = 0; c < 3; ++c)
        EXPECT_NEAR(others(33, c), to_others[static_cast<std::size_t>(c)], 1e-5);
    // Where sequences are single rows it is TwoNN as ever.
    const Matrix cloud = planted::gaussian(1500, 5, rng).cast<float>();
    std::vector<std::int32_t> single(1500);
    for (std::size_t i = 0; i < single.size(); ++i) single[i] = static_cast<std::int32_t>(i);
    EXPECT_NEAR(two_nn(nearest_of_other_groups(cloud, single, 2, 2)), 5, 0.5);
}

}  // namespace
}  // namespace tomograph
