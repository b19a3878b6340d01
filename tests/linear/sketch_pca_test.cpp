#include "tomograph/linear/sketch_pca.h"

#include <gtest/gtest.h>

#include <Eigen/QR>

#include <cmath>
#include <limits>

#include "tomograph/base/random.h"
#include "tomograph/linear/pca.h"

namespace tomograph {
namespace {

/// Rows whose variance falls by axis like a model's, around a mean that is far larger than it.
Matrix falling_rows(std::int64_t n, std::int64_t d, double power, double mean) {
    Rng random(5);
    Matrix mixing(d, d), rows(n, d);
    for (std::int64_t i = 0; i < d * d; ++i) mixing.data()[i] = static_cast<float>(random.normal());
    const Matrix axes = Eigen::HouseholderQR<Matrix>(mixing).householderQ();
    for (std::int64_t i = 0; i < n; ++i) {
        for (std::int64_t j = 0; j < d; ++j)
            rows(i, j) = static_cast<float>(random.normal() * std::pow(static_cast<double>(j + 1), -power));
    }
    rows = (rows * axes).eval();
    rows.col(3).array() += static_cast<float>(mean);
    return rows;
}

SketchPca sketch_of(const Matrix& rows, std::int64_t k, std::int64_t piece) {
    SketchPca sketch(rows.cols(), k, 1);
    for (std::int64_t at = 0; at < rows.rows(); at += piece)
        sketch.add(rows.data() + at * rows.cols(), std::min(piece, rows.rows() - at));
    return sketch;
}

TEST(SketchPca, HasTheAxesOfAPcaOfAllRows) {
    const Matrix rows = falling_rows(2000, 120, 1, 50);
    const auto axes = sketch_of(rows, 16, 256).finish();
    const Pca pca = fit_pca(MatrixRows(rows), {.n_components = 16});
    ASSERT_EQ(axes.components.rows(), 16);
    EXPECT_LE((axes.mean - pca.mean).norm(), 1e-4f);
    for (int i = 0; i < 4; ++i)
        EXPECT_NEAR(std::abs(axes.components.row(i).dot(pca.components.row(i))), 1, 1e-4) << i;
    const Matrix gram = axes.components * axes.components.transpose();
    EXPECT_LE((gram - Matrix::Identity(16, 16)).cwiseAbs().maxCoeff(), 1e-5f);
    // What the axes leave out is hardly more than what the best ones would.
    const Matrix centered = rows.rowwise() - pca.mean.transpose();
    const auto left = [&](const Matrix& components) {
        return (centered - centered * components.transpose() * components).squaredNorm();
    };
    EXPECT_LE(left(axes.components), 1.02f * left(pca.components));
    EXPECT_NEAR(axes.largest, std::sqrt(pca.explained_variance[0] * 1999), 0.01 * axes.largest);
}

TEST(SketchPca, IsExactWhereTheRowsHaveNoMoreAxes) {
    Matrix rows = falling_rows(300, 40, 1, 10);
    rows.rightCols(34).setConstant(2);
    const auto axes = sketch_of(rows, 8, 100).finish();
    EXPECT_EQ(axes.components.rows(), 6);
    const Matrix centered = rows.rowwise() - axes.mean.transpose();
    const Matrix left = centered - centered * axes.components.transpose() * axes.components;
    EXPECT_LE(left.norm(), 1e-4f * centered.norm());
}

TEST(SketchPca, PassesOverRowsThatAreNotFinite) {
    Matrix rows = falling_rows(300, 40, 1, 10);
    const auto want = sketch_of(rows, 4, 300).finish();
    Matrix more(301, 40);
    more.topRows(100) = rows.topRows(100);
    more.row(100).setConstant(std::numeric_limits<float>::infinity());
    more.bottomRows(200) = rows.bottomRows(200);
    const auto got = sketch_of(more, 4, 301).finish();
    EXPECT_EQ(got.components, want.components);
    EXPECT_EQ(got.mean, want.mean);
}

TEST(SketchPca, OfRowsWithoutVarianceHasOneAxis) {
    const auto constant = sketch_of(Matrix::Constant(50, 8, 3), 4, 20).finish();
    EXPECT_EQ(constant.components.rows(), 1);
    EXPECT_EQ(constant.mean, Vector::Constant(8, 3));
    EXPECT_EQ(constant.largest, 0);
    EXPECT_EQ(SketchPca(8, 4, 1).finish().components.rows(), 1);
}

TEST(SketchPca, OfOneRowIsFinite) {
    const auto axes = sketch_of(falling_rows(1, 8, 1, 3), 4, 20).finish();
    EXPECT_TRUE(axes.components.allFinite());
    EXPECT_EQ(axes.components.rows(), 1);
}

}  // namespace
}  // namespace tomograph
