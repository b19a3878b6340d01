#include "tomograph/linear/leading_directions.h"

#include <algorithm>
#include <cmath>

#include <cblas.h>

#include "tomograph/base/random.h"
#include "tomograph/base/threads.h"
#include "tomograph/linear/blas.h"
#include "tomograph/linear/eigenpairs.h"
#include "tomograph/linear/rows_product.h"

namespace tomograph {
namespace {

constexpr std::int64_t kMore = 16;  // directions beyond those that are wanted
constexpr int kRounds = 3;
constexpr double kNothing = 1e-9;  // share of the largest eigenvalue below which rounding speaks

/// rows test^T, [n, r].
Matrix scores_of(const Matrix& rows, const Matrix& test, int threads) {
    constexpr std::int64_t block_rows = 256;
    const std::int64_t n = rows.rows(), d = rows.cols();
    Matrix scores(n, test.rows());
    parallel_for((n + block_rows - 1) / block_rows, threads, [&](std::int64_t block) {
        const std::int64_t first = block * block_rows;
        multiply_by_rows(rows.row(first).data(), std::min(block_rows, n - first), test.data(), test.rows(), d,
                         scores.row(first).data());
    });
    return scores;
}

/// scores^T rows, [r, d], by columns of rows: sums over all rows in one order.
Matrix weighted_sums(const Matrix& scores, const Matrix& rows, int threads) {
    constexpr std::int64_t block_columns = 96;
    const std::int64_t d = rows.cols();
    const auto n = static_cast<int>(rows.rows()), r = static_cast<int>(scores.cols());
    Matrix sums(r, d);
    parallel_for((d + block_columns - 1) / block_columns, threads, [&](std::int64_t block) {
        const std::int64_t first = block * block_columns;
        const auto columns = static_cast<int>(std::min(block_columns, d - first));
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, r, columns, n, 1, scores.data(), r,
                    rows.data() + first, static_cast<int>(d), 0, sums.data() + first, static_cast<int>(d));
    });
    return sums;
}

/// An orthonormal basis of what the rows of `directions` span, by the principal axes among them.
Matrix orthonormal(const Matrix& directions) {
    const auto r = directions.rows();
    Matrix gram(r, r);
    multiply_by_rows(directions.data(), r, directions.data(), r, directions.cols(), gram.data());
    const Eigenpairs of = all_eigenpairs(gram.cast<double>(), "no leading directions could be found");
    Eigen::Index kept = 0;
    while (kept < r && of.values[kept] > 0 && of.values[kept] > kNothing * of.values[0]) ++kept;
    const MatrixD turn =
        of.values.head(kept).cwiseSqrt().cwiseInverse().asDiagonal() * of.vectors.topRows(kept);
    Matrix basis(kept, directions.cols());
    basis.noalias() = turn.cast<float>() * directions;
    return basis;
}

}  // namespace

Matrix leading_directions(const Matrix& rows, std::int64_t k, std::uint64_t seed, int threads) {
    keep_blas_single_threaded();
    const std::int64_t d = rows.cols();
    Matrix test(std::min({k + kMore, static_cast<std::int64_t>(rows.rows()), d}), d);
    Rng random(seed);
    for (float& value : test.reshaped()) value = static_cast<float>(random.uniform() - 0.5);
    for (int round = 0; round < kRounds && test.rows() > 0; ++round)
        test = orthonormal(weighted_sums(scores_of(rows, test, threads), rows, threads));
    return test.topRows(std::min<std::int64_t>(k, test.rows()));
}

}  // namespace tomograph
