// Rows that stand for all of them: what is rare must not be lost, and nothing invented where nothing is rare.
#include "tomograph/maps/cover_sample.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "support/errors.h"
#include "tomograph/base/random.h"

namespace tomograph {
namespace {

using namespace test;

/// A cloud, and in it every `every`-th row belongs to a small cluster `away` from it along the last
/// coordinate, in which the cloud has nothing.
Matrix planted(std::int64_t n, std::int64_t dim, std::int64_t every, double away) {
    Rng rng(3);
    Matrix rows = Matrix::Zero(n, dim);
    for (std::int64_t i = 0; i < n; ++i) {
        const bool rare = every > 0 && i % every == every / 2;
        for (std::int64_t j = 0; j + 1 < dim; ++j)
            rows(i, j) = static_cast<float>((rare ? 0.3 : 1) * rng.normal());
        if (rare) rows(i, dim - 1) = static_cast<float>(away + 0.1 * rng.normal());
    }
    return rows;
}

std::int64_t rare_among(const std::vector<std::int64_t>& rows, std::int64_t every) {
    return std::ranges::count_if(rows, [&](std::int64_t row) { return row % every == every / 2; });
}

TEST(CoverSample, HasAsManyRowsAsAskedFor) {
    const Matrix x = planted(3000, 8, 0, 0);
    for (const std::int64_t count : {1, 2, 3, 100, 777, 2999, 3000, 5000}) {
        const auto rows = covering_sample(MatrixRows(x), count, {});
        EXPECT_EQ(std::ssize(rows), std::min<std::int64_t>(count, 3000));
        EXPECT_TRUE(std::ranges::is_sorted(rows));
        EXPECT_EQ(std::set(rows.begin(), rows.end()).size(), rows.size());
        EXPECT_TRUE(rows.front() >= 0 && rows.back() < 3000);
    }
}

TEST(CoverSample, IsTheSameAtAnyNumberOfThreads) {
    const Matrix x = planted(40'000, 8, 1000, 6);
    const auto rows = covering_sample(MatrixRows(x), 900, {.seed = 5, .threads = 1});
    EXPECT_EQ(covering_sample(MatrixRows(x), 900, {.seed = 5, .threads = 4}), rows);
    EXPECT_NE(covering_sample(MatrixRows(x), 900, {.seed = 6, .threads = 4}), rows);
}

// 40 rows of 40,000: a uniform sample of one in forty has one of them.
TEST(CoverSample, KeepsWhatIsRare) {
    constexpr std::int64_t kEvery = 1000;
    for (const Metric metric : {Metric::euclidean, Metric::cosine}) {
        const Matrix x = planted(40'000, 8, kEvery, 8);
        EXPECT_GE(rare_among(covering_sample(MatrixRows(x), 1000, {.metric = metric}), kEvery), 12);
        EXPECT_LE(rare_among(sample_indices(40'000, 1000, 0), kEvery), 4);
    }
}

// The sketch has 96 components of a sample that is likely to hold no such row: only what it leaves out tells
// it.
TEST(CoverSample, KeepsWhatLiesOffTheComponents) {
    constexpr std::int64_t kEvery = 1500;
    const Matrix x = planted(30'000, 300, kEvery, 40);
    EXPECT_GE(rare_among(covering_sample(MatrixRows(x), 1000, {}), kEvery), 12);
}

// Of one cloud it is a sample of that cloud: its middle and, within what evenness adds, its width.
TEST(CoverSample, OfOneCloudIsOfThatCloud) {
    const Matrix x = planted(40'000, 8, 0, 0);
    const auto rows = covering_sample(MatrixRows(x), 4000, {});
    double mean = 0, square = 0;
    for (const std::int64_t row : rows) {
        mean += x(row, 0) / 4000.0;
        square += x(row, 0) * x(row, 0) / 4000.0;
    }
    EXPECT_NEAR(mean, 0, 0.08);
    EXPECT_NEAR(square, 1.1, 0.2);
}

TEST(CoverSample, OfEqualRowsIsSomeOfThem) {
    const Matrix x = Matrix::Constant(5000, 4, 2.5f);
    EXPECT_EQ(covering_sample(MatrixRows(x), 300, {}).size(), 300u);
    Matrix two = x;
    two.bottomRows(20).setConstant(3.5f);
    EXPECT_EQ(covering_sample(MatrixRows(two), 300, {}).size(), 300u);
}

TEST(CoverSample, NamesTheRowThatIsNotFinite) {
    Matrix x = planted(30'000, 4, 0, 0);
    x(20'123, 1) = std::numeric_limits<float>::quiet_NaN();
    EXPECT_EQ(error_of([&] { covering_sample(MatrixRows(x), 300, {}); }).substr(0, 28),
              "row 20123 holds NaN or Inf: ");
}

TEST(CoverSample, StopsWhenAsked) {
    struct Stopping final : Progress {
        bool stop_requested() const override { return true; }
    } progress;
    const Matrix x = planted(3000, 4, 0, 0);
    EXPECT_THROW(covering_sample(MatrixRows(x), 300, {}, progress), Stopped);
}

}  // namespace
}  // namespace tomograph
