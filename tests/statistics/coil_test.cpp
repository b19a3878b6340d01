// The helix test on curves of which the truth is known.
#include "tomograph/statistics/coil.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "support/planted.h"
#include "tomograph/statistics/cka.h"
#include "tomograph/statistics/distributions.h"

namespace tomograph {
namespace {

Coil measured(const MatrixD& curve, std::uint64_t seed = 1) {
    return measure_coil(curve.cast<float>(), {.seed = seed});
}

TEST(Coil, FindsHelicesAtNoiseEqualToTheirRadius) {
    for (const double turns : {2.0, 3.0, 11.0}) {
        for (const double jitter : {0.0, 0.3}) {
            Rng rng(static_cast<std::uint64_t>(turns));
            const Coil coil = measured(planted::coil(256, 12, {.turns = turns, .jitter = jitter}, rng));
            EXPECT_EQ(coil.shape, "helix") << turns << " turns, jitter " << jitter << ": " << coil.words;
            EXPECT_NEAR(coil.turns, turns, 0.2 * turns + 0.2);
            EXPECT_LE(coil.p, 0.025);
        }
    }
}

TEST(Coil, ItsNumbersAreThoseOfTheCurve) {
    Rng rng(5);
    const Coil coil = measured(planted::coil(512, 8, {.turns = 5, .rise = 3, .noise = 0.05}, rng));
    EXPECT_EQ(coil.shape, "helix");
    EXPECT_NEAR(coil.turns, 5, 0.1);
    EXPECT_NEAR(coil.component_turns, 5, 0.2);
    EXPECT_NEAR(coil.rise, 3, 0.3);
    EXPECT_GT(coil.roundness, 0.95);
    EXPECT_GT(coil.one_way, 0.99);
    EXPECT_GT(coil.share, 0.9);
    EXPECT_NEAR(coil.recurrence_lag, 102.4, 6);
    EXPECT_GT(coil.recurrence, 0.9);
    EXPECT_GT(coil.gap, 10);
    EXPECT_EQ(coil.p, 1.0 / 200) << "as small as 199 replicates allow";
    ASSERT_FALSE(coil.lines.empty());
    EXPECT_NEAR(coil.lines.front().turns, 5, 0.5);
}

TEST(Coil, CirclesWavesAndLinesAreCalledWhatTheyAre) {
    Rng rng(6);
    EXPECT_EQ(measured(planted::coil(256, 8, {.turns = 4, .rise = 0, .noise = 0.2}, rng)).shape, "circle");
    EXPECT_EQ(measured(planted::coil(256, 8, {.turns = 4, .noise = 0.2, .flatness = 1}, rng)).shape, "wave");
    EXPECT_EQ(measured(planted::coil(256, 8, {.turns = 0, .noise = 0.2}, rng)).shape, "line");
    EXPECT_EQ(measured(planted::gaussian(256, 8, rng)).shape, "none");
    // In the plane alone there is no axis to rise along, however the ends lie.
    MatrixD plane(200, 2);
    for (Eigen::Index t = 0; t < plane.rows(); ++t) {
        const double angle = 2 * std::numbers::pi * 3.3 * static_cast<double>(t) / 200;
        plane.row(t) << std::cos(angle), std::sin(angle);
    }
    EXPECT_EQ(measured(plane).shape, "circle");
}

// Zero on average whatever the width: with the diagonals of the Gram matrices these clouds score 0.86.
TEST(Cka, OfIndependentWideCloudsIsZero) {
    Rng rng(11);
    const Matrix x = planted::gaussian(667, 4096, rng).cast<float>(),
                 y = planted::gaussian(667, 4096, rng).cast<float>();
    EXPECT_NEAR(linear_cka(x, y), 0, 0.02);
    std::vector<std::int32_t> group(667);
    for (std::size_t i = 0; i < group.size(); ++i) group[i] = static_cast<std::int32_t>(i / 100);
    const MatrixD table = CkaTable(std::vector<Matrix>{x, y}, group, 7, 2).cka();
    EXPECT_NEAR(table(0, 1), linear_cka(x, y), 1e-4);
    EXPECT_NEAR(table(0, 0), 1, 1e-6);
}

TEST(Cka, OfEqualOrTooFewRowsHasNoNumber) {
    Rng rng(12);
    const Matrix x = planted::gaussian(30, 5, rng).cast<float>();
    EXPECT_TRUE(std::isnan(linear_cka(x, Matrix::Constant(30, 5, 0.3f))));
    EXPECT_TRUE(std::isnan(linear_cka(x.topRows(3), x.topRows(3))));
    EXPECT_NEAR(linear_cka(x, (x * -3).array() + 2), 1, 1e-5);
}

TEST(Coil, OfSeveralFrequenciesIsNoHelix) {
    Rng rng(7);
    MatrixD curve = planted::coil(128, 32, {.turns = 9, .noise = 0.1}, rng);
    for (const double turns : {14.0, 19.0, 5.0})
        curve += planted::coil(128, 32, {.turns = turns, .rise = 0, .noise = 0}, rng);
    const Coil coil = measured(curve);
    EXPECT_EQ(coil.shape, "several") << coil.words;
    EXPECT_LT(coil.share, 0.5);
    EXPECT_EQ(coil.p, 1) << "no single coil";
    EXPECT_LE(coil.p_turning, 0.025);
    EXPECT_GE(coil.lines.size(), 4u);
}

// The short form of bench/calibrate: at most one in forty.
TEST(Coil, RandomCurvesAreNotCalledHelices) {
    int called = 0;
    std::string which;
    for (const auto& family : planted::curves_without_a_helix()) {
        for (std::uint64_t i = 0; i < 4; ++i) {
            Rng rng(mix(3, i));
            const Coil coil = measured(family.draw(96, 6, rng), i);
            if (coil.shape != "helix") continue;
            ++called;
            which += family.name + ": " + coil.words + "; ";
        }
    }
    EXPECT_LE(called, 1) << which;
}

TEST(Coil, IsTheSameAtAnyNumberOfThreadsAndInAnyBasis) {
    Rng rng(8);
    const MatrixD curve = planted::coil(128, 6, {.turns = 3, .noise = 0.6}, rng);
    const Coil one = measure_coil(curve.cast<float>(), {.seed = 4, .threads = 1});
    const Coil four = measure_coil(curve.cast<float>(), {.seed = 4, .threads = 4});
    EXPECT_EQ(one.p_by_kind, four.p_by_kind);
    EXPECT_EQ(one.turning, four.turning);
    EXPECT_EQ(one.chance_turning, four.chance_turning);
    const Coil turned = measured(MatrixD(curve * planted::rotation(6, rng) * 7).rowwise() +
                                 Eigen::RowVectorXd::Constant(6, 3));
    EXPECT_NEAR(turned.turning, one.turning, 1e-4);
    EXPECT_NEAR(turned.rise, one.rise, 1e-3);
}

TEST(Coil, OfTooFewOrEqualPointsSaysWhy) {
    Rng rng(9);
    EXPECT_NE(measured(planted::gaussian(31, 4, rng)).why_not.find("31 positions are too few"),
              std::string::npos);
    EXPECT_FALSE(measured(MatrixD::Constant(64, 4, 2.5)).why_not.empty());
    const Coil line = measured(VectorD::LinSpaced(64, 0, 1) * Eigen::RowVectorXd::Constant(4, 1));
    EXPECT_EQ(line.shape, "line");
    EXPECT_EQ(measured(planted::gaussian(64, 1, rng)).shape, "none") << "one dimension";
}

TEST(ComparablePositions, LeavePositionZeroAndUntrainedRowsAtTheEndOut) {
    Rng rng(10);
    Matrix table = planted::gaussian(100, 16, rng).cast<float>();
    TableRows rows = comparable_positions(table);
    EXPECT_EQ(rows.first, 1);
    EXPECT_EQ(rows.count, 99);
    EXPECT_EQ(rows.left_out.size(), 1u);
    table.bottomRows(3) *= 0.02f;
    table.row(40) *= 0.02f;
    rows = comparable_positions(table);
    EXPECT_EQ(rows.count, 96) << "odd rows in the middle stay";
    ASSERT_EQ(rows.left_out.size(), 2u);
    EXPECT_NE(rows.left_out[1].find("positions 97 to 99"), std::string::npos) << rows.left_out[1];
    EXPECT_EQ(comparable_positions(Matrix::Zero(1, 4)).count, 0);
}

// The real table lies beside the checkout and carries its maker's licence: no copy of it is kept here.
TEST(Coil, OfGpt2sOwnTableIsAHelixOfThreeTurns) {
    namespace fs = std::filesystem;
    fs::path file;
    for (fs::path at = fs::path(TOMOGRAPH_TEST_DATA); at.has_relative_path() && file.empty();
         at = at.parent_path())
        if (fs::exists(at / "shared/data/gpt2-wpe.npy")) file = at / "shared/data/gpt2-wpe.npy";
    if (file.empty()) GTEST_SKIP() << "no ../shared/data/gpt2-wpe.npy beside the checkout";
    Matrix table(1024, 768);
    std::ifstream in(file, std::ios::binary);
    in.seekg(-static_cast<std::streamoff>(table.size() * 4), std::ios::end);
    in.read(reinterpret_cast<char*>(table.data()), table.size() * 4);
    ASSERT_TRUE(in);
    const TableRows rows = comparable_positions(table);
    EXPECT_EQ(rows.count, 1022);
    EXPECT_NE(rows.left_out.at(1).find("position 1023"), std::string::npos);
    const Coil coil = measure_coil(table.middleRows(rows.first, rows.count));
    EXPECT_EQ(coil.shape, "helix") << coil.words;
    EXPECT_EQ(coil.p, 1.0 / 200);
    EXPECT_NEAR(coil.component_turns, 3.02, 0.02);
    EXPECT_EQ(coil.along_component, 2);
    EXPECT_GT(coil.one_way, 0.99);
    EXPECT_NEAR(coil.recurrence, 0.62, 0.01);
    EXPECT_NEAR(coil.recurrence_lag, 561, 4);
    EXPECT_NEAR(coil.variance_ratio.at(0), 0.337, 0.002);
    EXPECT_NEAR(coil.gap, 7.2, 0.2);
}

TEST(Distributions, AreThoseOfSciPy) {
    EXPECT_NEAR(incomplete_beta(2.5, 1.5, 0.3), 0.0889437, 1e-6);
    EXPECT_NEAR(f_tail(3.2, 4, 17), 0.0394026, 1e-6);
    EXPECT_NEAR(student_t_quantile(0.975, 4), 2.7764451, 1e-6);
    EXPECT_NEAR(student_t_quantile(0.975, 31), 2.0395134, 1e-6);
    EXPECT_NEAR(student_t_quantile(0.025, 7), -2.3646243, 1e-6);
    EXPECT_NEAR(student_t(1.5, 3), 0.8847, 1e-4);
    EXPECT_EQ(f_tail(0, 3, 3), 1);
}

}  // namespace
}  // namespace tomograph
