#include "tomograph/linear/ridge.h"

#include <gtest/gtest.h>

#include <Eigen/Dense>

#include "support/errors.h"
#include "tomograph/base/random.h"

namespace tomograph {
namespace {

using namespace test;

Matrix random_matrix(Eigen::Index rows, Eigen::Index cols, std::uint64_t seed, double deviation = 1) {
    Rng rng(seed);
    Matrix values(rows, cols);
    for (float& value : values.reshaped()) value = static_cast<float>(deviation * rng.normal());
    return values;
}

Moments moments_of(const Matrix& x, const Matrix& y) {
    Matrix pairs(x.rows(), x.cols() + y.cols());
    pairs << x, y;
    return compute_moments(MatrixRows(pairs), {.threads = 1});
}

struct Pairs {
    Matrix x, y;
};
/// y = x weights + 3 + noise, of inputs with a mean of 5.
Pairs planted(Eigen::Index n, const Matrix& weights, double noise, std::uint64_t seed) {
    Pairs pairs{random_matrix(n, weights.rows(), seed).array() + 5.0f, {}};
    pairs.y = (pairs.x * weights).array() + 3.0f;
    pairs.y += random_matrix(n, weights.cols(), seed + 1, noise);
    return pairs;
}

TEST(Ridge, FindsAPlantedMap) {
    const Matrix weights = random_matrix(12, 7, 1);
    const Pairs fitted = planted(600, weights, 0.1, 2), held = planted(200, weights, 0.1, 4),
                fresh = planted(100, weights, 0, 6);
    const AffineMap map = fit_ridge(moments_of(fitted.x, fitted.y), moments_of(held.x, held.y), 12);
    EXPECT_LE((map.weights - weights).cwiseAbs().maxCoeff(), 0.03f);
    EXPECT_LE((map.apply(fresh.x) - fresh.y).cwiseAbs().maxCoeff(), 0.1f);
    EXPECT_GT(map.explained, 0.99);
    EXPECT_LE(map.penalty, 1e-3) << "little noise asks for little penalty";
}

TEST(Ridge, IsTheNormalEquationsOfAllRows) {
    const Matrix weights = random_matrix(6, 4, 1);
    const Pairs fitted = planted(40, weights, 2, 2), held = planted(20, weights, 2, 4);
    const AffineMap map = fit_ridge(moments_of(fitted.x, fitted.y), moments_of(held.x, held.y), 6);
    MatrixD x(60, 6), y(60, 4);
    x << fitted.x.cast<double>(), held.x.cast<double>();
    y << fitted.y.cast<double>(), held.y.cast<double>();
    const Eigen::RowVectorXd x_mean = x.colwise().mean(), y_mean = y.colwise().mean();
    x.rowwise() -= x_mean;
    y.rowwise() -= y_mean;
    MatrixD left = x.transpose() * x;
    left.diagonal().array() += map.penalty * left.trace() / 6;
    const MatrixD want = left.ldlt().solve(x.transpose() * y);
    EXPECT_LE((map.weights.cast<double>() - want).cwiseAbs().maxCoeff(), 1e-4);
    EXPECT_LE((map.offset.cast<double>().transpose() - (y_mean - x_mean * want)).cwiseAbs().maxCoeff(), 1e-4);
}

// Where x says nothing of y, and there are few rows, the heaviest penalty is best and hardly anything is
// claimed.
TEST(Ridge, ClaimsNothingOfNoise) {
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
        const Matrix x = random_matrix(90, 30, mix(seed, 1)), y = random_matrix(90, 5, mix(seed, 2));
        const AffineMap map = fit_ridge(moments_of(x.topRows(60), y.topRows(60)),
                                        moments_of(x.bottomRows(30), y.bottomRows(30)), 30);
        EXPECT_LT(map.explained, 0.05) << seed;
        EXPECT_GE(map.penalty, 1e-2) << seed;
    }
}

TEST(Ridge, OfWhatDoesNotVaryIsTheMean) {
    const Matrix x = Matrix::Constant(20, 3, 2), y = random_matrix(20, 2, 1);
    const AffineMap map =
        fit_ridge(moments_of(x.topRows(15), y.topRows(15)), moments_of(x.bottomRows(5), y.bottomRows(5)), 3);
    EXPECT_EQ(map.weights.cwiseAbs().maxCoeff(), 0);
    EXPECT_LE((map.offset.transpose() - y.colwise().mean()).cwiseAbs().maxCoeff(), 1e-6f);
    EXPECT_NE(error_of([&] { fit_ridge({}, moments_of(x, y), 3); }).find("no rows"), std::string::npos);
}

}  // namespace
}  // namespace tomograph
