// Directions that are nearly the principal ones, against an exact PCA.
#include "tomograph/linear/leading_directions.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tomograph/base/random.h"
#include "tomograph/linear/pca.h"

namespace tomograph {
namespace {

/// Standard normal, coordinate j scaled by (j + 1)^-power.
Matrix falling_rows(std::int64_t n, std::int64_t d, double power) {
    Rng random(5);
    Matrix rows(n, d);
    for (std::int64_t i = 0; i < n; ++i) {
        for (std::int64_t j = 0; j < d; ++j)
            rows(i, j) = static_cast<float>(random.normal() * std::pow(static_cast<double>(j + 1), -power));
    }
    return rows;
}

double held(const Matrix& rows, const Matrix& directions) {
    return (rows * directions.transpose()).cast<double>().squaredNorm();
}

TEST(LeadingDirections, HoldNearlyWhatThePrincipalOnesHold) {
    for (const double power : {0.0, 0.5, 1.0}) {
        const Matrix rows = falling_rows(700, 150, power);
        const Matrix directions = leading_directions(rows, 20, 1, 2);
        ASSERT_EQ(directions.rows(), 20);
        const Matrix gram = directions * directions.transpose();
        EXPECT_LE((gram - Matrix::Identity(20, 20)).cwiseAbs().maxCoeff(), 1e-4f);
        const Pca best = fit_pca(MatrixRows(rows), {.n_components = 20, .center = false});
        const double most = held(rows, best.components);
        // A cloud that is round has no directions to find; random ones would hold 20 of 150 parts.
        EXPECT_GE(held(rows, directions), (power > 0 ? 0.98 : 0.85) * most) << power;
        EXPECT_LE(held(rows, directions), most * (1 + 1e-5)) << power;
    }
}

TEST(LeadingDirections, AreNoMoreThanTheRowsSpan) {
    Matrix rows = falling_rows(300, 80, 0);
    rows.rightCols(75).setZero();
    const Matrix directions = leading_directions(rows, 20, 1, 1);
    ASSERT_EQ(directions.rows(), 5);
    EXPECT_LE(directions.rightCols(75).cwiseAbs().maxCoeff(), 1e-4f);
    EXPECT_EQ(leading_directions(falling_rows(3, 80, 0), 20, 1, 1).rows(), 3);
    EXPECT_EQ(leading_directions(Matrix::Zero(30, 80), 20, 1, 1).rows(), 0);
}

TEST(LeadingDirections, AreTheSameBytesAtAnyNumberOfThreads) {
    const Matrix rows = falling_rows(1000, 300, 0.5);
    EXPECT_EQ(leading_directions(rows, 20, 1, 1), leading_directions(rows, 20, 1, 3));
    EXPECT_NE(leading_directions(rows, 20, 1, 1), leading_directions(rows, 20, 2, 1));
}

}  // namespace
}  // namespace tomograph
