#include "tomograph/linear/spread.h"

#include <limits>

#include "support/reduce_golden.h"
#include "tomograph/linear/finite.h"
#include "tomograph/linear/moments.h"

namespace tomograph {
namespace {

using namespace test;

TEST(Spread, IsTheTraceOfTheCovariance) {
    const Matrix x = clustered(3000, 20, 1).array() + 50;
    const Moments moments = compute_moments(MatrixRows(x));
    const Spread spread = measure_spread(MatrixRows(x));
    const double variance = moments.covariance().trace();
    EXPECT_NEAR(spread.total_variance, variance, 1e-6 * variance);
    EXPECT_NEAR(spread.mean_square, moments.mean.squaredNorm() + variance, 1e-6 * spread.mean_square);
    EXPECT_FALSE(spread.constant());
}

TEST(Spread, HasEqualBytesAtAnyNumberOfThreadsAndOutOfCore) {
    const Matrix x = clustered(5000, 33, 2);
    const Spread one = measure_spread(MatrixRows(x), 1), four = measure_spread(MatrixRows(x), 4),
                 blocked = measure_spread(BlockedRows(x), 3);
    EXPECT_EQ(one.total_variance, four.total_variance);
    EXPECT_EQ(one.total_variance, blocked.total_variance);
    EXPECT_EQ(one.mean_square, blocked.mean_square);
}

TEST(Spread, OfEqualRowsIsNothing) {
    for (const float value : {0.0f, 3.1f, -1e-40f, 3e38f}) {
        const Spread spread = measure_spread(MatrixRows(Matrix::Constant(700, 3, value)));
        EXPECT_EQ(spread.total_variance, 0) << value;
        EXPECT_TRUE(spread.constant()) << value;
    }
    EXPECT_TRUE(measure_spread(MatrixRows(Matrix::Constant(1, 3, 2.0f))).constant());
    EXPECT_TRUE(measure_spread(MatrixRows(Matrix(0, 3))).constant());
}

TEST(Spread, OfRoundingIsConstant) {
    Matrix x = Matrix::Constant(500, 40, 1.0f) + 5e-4f * Matrix::Random(500, 40);
    EXPECT_TRUE(measure_spread(MatrixRows(x)).constant());
    x.row(3).array() += 3;
    EXPECT_FALSE(measure_spread(MatrixRows(x)).constant());
}

TEST(Spread, NeitherOverflowsNorVanishes) {
    const Matrix x = clustered(300, 8, 3);
    const Spread plain = measure_spread(MatrixRows(x));
    for (const float scale : {1e-30f, 1e-19f, 1e19f, 1e30f}) {
        const Matrix scaled = scale * x;
        const Spread spread = measure_spread(MatrixRows(scaled));
        EXPECT_NEAR(spread.relative_variance(), plain.relative_variance(), 1e-5) << scale;
    }
}

TEST(Spread, NamesTheFirstRowThatIsNotFinite) {
    Matrix x = clustered(2000, 5, 4);
    x(1900, 0) = std::numeric_limits<float>::infinity();
    x(777, 4) = std::numeric_limits<float>::quiet_NaN();
    try {
        measure_spread(MatrixRows(x), 4);
        FAIL();
    } catch (const NonFinite& error) {
        EXPECT_EQ(error.row, 777);
    }
}

}  // namespace
}  // namespace tomograph
