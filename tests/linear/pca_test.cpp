#include "tomograph/linear/pca.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <thread>
#include <vector>

#include "support/reduce_golden.h"
#include "tomograph/linear/finite.h"
#include "tomograph/linear/spread.h"

extern "C" int openblas_get_num_threads();

namespace tomograph {
namespace {

using namespace test;

TEST(Pca, SetsTheProcessesBlasThreadsOnceAndForGood) {
    Matrix x(40, 12);
    for (Eigen::Index i = 0; i < x.size(); ++i) x.data()[i] = static_cast<float>((i * 7919) % 101);
    std::atomic<bool> fitting{true};
    std::atomic<int> most{0};
    (void)fit_pca(MatrixRows(x), {.n_components = 0, .threads = 1});
    std::thread watcher([&] {
        while (fitting) most = std::max(most.load(), openblas_get_num_threads());
    });
    std::vector<std::thread> fits;
    for (int t = 0; t < 4; ++t) {
        fits.emplace_back([&] {
            for (int i = 0; i < 50; ++i) (void)fit_pca(MatrixRows(x), {.n_components = 0, .threads = 1});
        });
    }
    for (std::thread& fit : fits) fit.join();
    fitting = false;
    watcher.join();
    EXPECT_EQ(most, 1);
}

TEST(Pca, AgreesWithScikitLearn) {
    const Matrix x = to_matrix(golden()["x"]);
    const Json& expected = golden()["pca"];
    const Pca pca = fit_pca(MatrixRows(x), {.n_components = 4});
    const Matrix components = to_matrix(expected["components"]);
    const Matrix scores = transform(pca, MatrixRows(x));
    const Matrix expected_scores = to_matrix(expected["scores"]);
    ASSERT_EQ(pca.n_components(), 4);
    for (int i = 0; i < 4; ++i) {
        const double variance = expected["explained_variance"][i];
        EXPECT_NEAR(pca.explained_variance[i], variance, 1e-5 * variance) << "component " << i;
        EXPECT_NEAR(pca.explained_variance_ratio[i], expected["explained_variance_ratio"][i].get<double>(),
                    1e-5);
        const float sign = pca.components.row(i).dot(components.row(i)) < 0 ? -1.0f : 1.0f;
        EXPECT_LT((sign * pca.components.row(i) - components.row(i)).cwiseAbs().maxCoeff(), 1e-3);
        for (int row = 0; row < 5; ++row) EXPECT_NEAR(sign * scores(row, i), expected_scores(row, i), 2e-3);
    }
    for (int j = 0; j < x.cols(); ++j) EXPECT_NEAR(pca.mean[j], expected["mean"][j].get<float>(), 1e-3);
}

TEST(Pca, LargestCoordinateOfEachComponentIsPositive) {
    const Pca pca = fit_pca(MatrixRows(clustered(300, 20, 1)), {.n_components = 5});
    for (int i = 0; i < 5; ++i) {
        Eigen::Index at = 0;
        pca.components.row(i).cwiseAbs().maxCoeff(&at);
        EXPECT_GT(pca.components(i, at), 0);
    }
}

TEST(Pca, LanczosAndDivideAndConquerAgree) {
    const Moments moments = compute_moments(MatrixRows(clustered(2000, 96, 2)));
    const Pca few = fit_pca(moments, {.n_components = 5}), all = fit_pca(moments, {.n_components = 0});
    ASSERT_EQ(all.n_components(), 96);
    for (int i = 0; i < 5; ++i) {
        EXPECT_NEAR(few.explained_variance[i], all.explained_variance[i], 1e-9 * all.explained_variance[0]);
        EXPECT_NEAR(few.components.row(i).dot(all.components.row(i)), 1, 1e-5);
    }
    EXPECT_NEAR(all.explained_variance_ratio.sum(), 1, 1e-9);
}

TEST(Pca, EqualBytesAtAnyNumberOfThreadsAndOutOfCore) {
    const Matrix x = clustered(9000, 70, 3);
    const Pca one = fit_pca(MatrixRows(x), {.threads = 1}), four = fit_pca(MatrixRows(x), {.threads = 4}),
              blocked = fit_pca(BlockedRows(x), {.threads = 3});
    EXPECT_TRUE(same_bytes(one.components, four.components));
    EXPECT_TRUE(same_bytes(one.explained_variance, four.explained_variance));
    EXPECT_TRUE(same_bytes(one.components, blocked.components));
    EXPECT_TRUE(same_bytes(transform(one, MatrixRows(x), {.threads = 1}),
                           transform(four, BlockedRows(x), {.threads = 4})));
}

TEST(Moments, MergedAgreeWithStraight) {
    const Matrix x = clustered(5000, 50, 4);
    const Moments whole = compute_moments(MatrixRows(x));
    Moments merged;
    for (const auto& [begin, n] : {std::pair{0, 1}, {1, 1200}, {1201, 3799}}) {
        merge_moments(merged, compute_moments(MatrixRows(x.data() + begin * 50, n, 50)));
    }
    EXPECT_EQ(merged.count, 5000);
    EXPECT_LT((merged.mean - whole.mean).cwiseAbs().maxCoeff(), 1e-12);
    const double scale = whole.comoment.diagonal().maxCoeff();
    EXPECT_LT((merged.comoment - whole.comoment).cwiseAbs().maxCoeff(), 1e-6 * scale);
}

TEST(Moments, AMeanFarAboveTheDeviationCostsNoDigits) {
    Matrix x = clustered(4000, 30, 5), shifted = x;
    shifted.array() += 4096;  // keeps 11 bits of what the float32 rows had behind the point
    shifted.topRows(300).array() += 1000;
    Matrix back = shifted.array() - 4096.0f;
    const Moments a = compute_moments(MatrixRows(shifted)), b = compute_moments(MatrixRows(back));
    EXPECT_LT((a.comoment - b.comoment).cwiseAbs().maxCoeff(), 1e-6 * b.comoment.diagonal().maxCoeff());
    const MatrixD exact = back.cast<double>();
    const MatrixD centred = exact.rowwise() - exact.colwise().mean();
    EXPECT_LT((b.comoment - MatrixD(centred.transpose() * centred)).cwiseAbs().maxCoeff(),
              1e-6 * b.comoment.diagonal().maxCoeff());
}

TEST(Moments, NeitherOverflowNorVanish) {
    const Matrix x = clustered(3000, 30, 12);
    const Moments plain = compute_moments(MatrixRows(x));
    const double largest = plain.comoment.diagonal().maxCoeff();
    // Powers of two, so that only the range differs.
    for (const int exponent : {-120, -83, -60, 60, 63, 120}) {
        const auto scale = std::ldexp(1.0f, exponent);
        const Matrix scaled = scale * x;
        const Moments moments = compute_moments(MatrixRows(scaled));
        const double square = std::ldexp(1.0, 2 * exponent);
        EXPECT_LT((moments.comoment / square - plain.comoment).cwiseAbs().maxCoeff(), 1e-6 * largest)
            << exponent;
    }
}

TEST(Pca, AgreesAtAnyScale) {
    const Matrix x = clustered(1500, 96, 13);
    for (const int n_components : {4, 0}) {  // Lanczos, and divide and conquer
        const Pca plain = fit_pca(MatrixRows(x), {.n_components = n_components});
        for (const float scale : {1e-35f, 1e-25f, 1e-10f, 1e10f, 1e19f, 1e30f}) {
            const Matrix scaled = scale * x;
            const Pca pca = fit_pca(MatrixRows(scaled), {.n_components = n_components});
            for (int i = 0; i < 4; ++i) {
                EXPECT_NEAR(pca.explained_variance_ratio[i], plain.explained_variance_ratio[i], 1e-4)
                    << scale;
                EXPECT_NEAR(std::fabs(pca.components.row(i).dot(plain.components.row(i))), 1, 1e-3) << scale;
            }
            EXPECT_TRUE(transform(pca, MatrixRows(scaled)).allFinite()) << scale;
        }
    }
}

TEST(Moments, OfBlocksOfDifferentScaleAreThoseOfAll) {
    Matrix x = clustered(9000, 70, 14);
    x.bottomRows(3000) *= 1e14f;  // in other blocks than the first
    const Moments moments = compute_moments(MatrixRows(x));
    const MatrixD exact = x.cast<double>();
    const MatrixD centred = exact.rowwise() - exact.colwise().mean();
    const MatrixD comoment = centred.transpose() * centred;
    EXPECT_LT((moments.comoment - comoment).cwiseAbs().maxCoeff(), 1e-6 * comoment.diagonal().maxCoeff());
}

TEST(Moments, OfFewAndNarrowRows) {
    for (const auto& [n, d] : {std::pair{2, 1}, {1, 1}, {3, 49}, {257, 47}, {256, 48}}) {
        const Matrix x = Matrix::Random(n, d);
        const Moments moments = compute_moments(MatrixRows(x));
        const MatrixD exact = x.cast<double>();
        const MatrixD centred = exact.rowwise() - exact.colwise().mean();
        EXPECT_LT((moments.comoment - MatrixD(centred.transpose() * centred)).cwiseAbs().maxCoeff(), 1e-6 * n)
            << n << " x " << d;
        EXPECT_EQ(moments.covariance().allFinite(), true);
    }
    EXPECT_EQ(error_of([] { compute_moments(MatrixRows(Matrix(0, 4))); }),
              "cannot take the moments of no rows: the selection is empty");
    Moments a = compute_moments(MatrixRows(Matrix::Random(4, 3)));
    EXPECT_EQ(error_of([&] { merge_moments(a, compute_moments(MatrixRows(Matrix::Random(4, 2)))); }),
              "cannot merge moments: one is of dimension 3, the other of 2");
}

TEST(Pca, WhitenedScoresHaveVarianceOne) {
    const Matrix x = clustered(1000, 20, 6);
    const Pca pca = fit_pca(MatrixRows(x), {.n_components = 3});
    const Matrix scores = transform(pca, MatrixRows(x), {.whiten = true});
    for (int i = 0; i < 3; ++i) EXPECT_NEAR(scores.col(i).squaredNorm() / 999, 1, 1e-3);
}

TEST(Pca, UncentredScoresAreThoseOfTheRawVectors) {
    const Matrix x = clustered(200, 10, 7);
    const Pca pca = fit_pca(MatrixRows(x), {.n_components = 2});
    const Matrix scores = transform(pca, MatrixRows(x), {.center = false});
    EXPECT_NEAR(scores(3, 1), x.row(3).dot(pca.components.row(1)), 1e-3);
    const Pca raw = fit_pca(MatrixRows(x), {.n_components = 2, .center = false});
    EXPECT_EQ(raw.mean.norm(), 0);
    EXPECT_GT(raw.total_variance, pca.total_variance);
}

TEST(Pca, NonFiniteRowIsNamed) {
    Matrix x = clustered(5000, 20, 8);
    x(4321, 7) = std::numeric_limits<float>::quiet_NaN();
    x(4700, 7) = std::numeric_limits<float>::infinity();
    try {
        fit_pca(MatrixRows(x));
        FAIL();
    } catch (const NonFinite& error) {
        EXPECT_EQ(error.row, 4321);
        EXPECT_STREQ(
            error.what(),
            "row 4321 holds NaN or Inf: its vector cannot be averaged or compared; leave that row out, or "
            "capture it again in float32");
    }
}

TEST(Pca, DegenerateSelections) {
    const Matrix equal = Matrix::Constant(50, 8, 3.25f);
    const Pca flat = fit_pca(MatrixRows(equal), {.n_components = 3});
    EXPECT_EQ(flat.total_variance, 0);
    EXPECT_EQ(flat.explained_variance_ratio.sum(), 0);
    EXPECT_EQ(transform(flat, MatrixRows(equal)).norm(), 0);
    EXPECT_EQ(fit_pca(MatrixRows(clustered(4, 8, 9)), {.n_components = 6}).n_components(), 3);
    EXPECT_EQ(error_of([] { fit_pca(MatrixRows(clustered(1, 8, 9))); }),
              "cannot fit a PCA to 1 row: variance needs at least 2; select more rows");
    EXPECT_EQ(error_of([] { fit_pca(MatrixRows(Matrix(0, 8))); }),
              "cannot fit a PCA to 0 rows: variance needs at least 2; select more rows");
}

TEST(Pca, TransformOfAnotherDimensionIsAnError) {
    const Pca pca = fit_pca(MatrixRows(clustered(100, 8, 10)));
    EXPECT_EQ(error_of([&] { transform(pca, MatrixRows(clustered(100, 9, 10))); }),
              "cannot project rows of dimension 9: the PCA was fitted to dimension 8");
}

TEST(Pca, StopsWhenAsked) {
    StoppedProgress stop;
    EXPECT_THROW(fit_pca(MatrixRows(clustered(100, 8, 11)), {}, stop), Stopped);
}

/// Rows that are made when they are read, and notes how they are.
class CountedRows final : public RowSource {
  public:
    CountedRows(std::int64_t n, std::int64_t dim) : n_(n), dim_(dim) {}
    std::int64_t n_rows() const override { return n_; }
    std::int64_t dim() const override { return dim_; }
    void read(std::int64_t begin, std::int64_t end, float* out) const override {
        for (std::int64_t i = 0; i < (end - begin) * dim_; ++i)
            out[i] = static_cast<float>(mix(static_cast<std::uint64_t>(begin * dim_ + i)) % 1000);
        read_ += end - begin;
        largest_ = std::max<std::int64_t>(largest_, end - begin);
    }
    std::int64_t rows_read() const { return read_; }
    std::int64_t largest() const { return largest_; }

  private:
    std::int64_t n_, dim_;
    mutable std::atomic<std::int64_t> read_{0}, largest_{0};
};

// What does not fit in memory is read once, in parts that do not grow with it.
TEST(Pca, ReadsEachRowOnceAndFewAtATime) {
    const CountedRows rows(100'000, 20);
    const Pca pca = fit_pca(rows, {.n_components = 2, .threads = 1});
    EXPECT_EQ(rows.rows_read(), 100'000);
    EXPECT_LE(rows.largest(), 512);
    transform(pca, rows, {.threads = 1});
    EXPECT_EQ(rows.rows_read(), 200'000);
    EXPECT_LE(rows.largest(), 512);
    measure_spread(rows, 1);
    EXPECT_EQ(rows.rows_read(), 300'001);  // and the first, which the others are measured from
    EXPECT_LE(rows.largest(), 512);
}

}  // namespace
}  // namespace tomograph
