#include "tomograph/linear/ridge.h"

#include <cblas.h>
#include <fmt/format.h>
#include <lapacke.h>

#include <limits>

#include "tomograph/base/error.h"
#include "tomograph/linear/blas.h"

namespace tomograph {
namespace {

constexpr double kPenalties[] = {10, 1, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5};

/// The halves of moments of [x, y].
struct Halves {
    explicit Halves(const Moments& moments, Eigen::Index d_in)
        : count(static_cast<double>(moments.count)),
          x_mean(moments.mean.head(d_in)),
          y_mean(moments.mean.tail(moments.mean.size() - d_in)),
          xx(moments.comoment.topLeftCorner(d_in, d_in)),
          yx(moments.comoment.bottomLeftCorner(y_mean.size(), d_in)),
          yy(moments.comoment.diagonal().tail(y_mean.size()).sum()) {}
    double count;
    VectorD x_mean, y_mean;
    MatrixD xx;  // [d_in, d_in]
    MatrixD yx;  // [d_out, d_in]
    double yy;   // trace
};

/// The map's weights, transposed, [d_out, d_in].
MatrixD solve(const Halves& of, double penalty) {
    const Eigen::Index d = of.xx.rows();
    MatrixD left = of.xx;
    left.diagonal().array() += penalty * of.xx.trace() / static_cast<double>(d);
    MatrixD right = of.yx;
    // Column-major LAPACK reads each row of [d_out, d_in] as one right-hand side.
    const auto failed = LAPACKE_dposv(LAPACK_COL_MAJOR, 'U', static_cast<lapack_int>(d),
                                      static_cast<lapack_int>(right.rows()), left.data(),
                                      static_cast<lapack_int>(d), right.data(), static_cast<lapack_int>(d));
    if (failed)
        throw Error("no affine map could be fitted", fmt::format("LAPACK's dposv gave {}", failed), "");
    return right;
}

/// Squared errors over other rows, by their moments alone.
double squared_error(const MatrixD& map, const Halves& fitted, const Halves& other) {
    MatrixD spread(map.rows(), map.cols());  // map xx
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, static_cast<int>(map.rows()),
                static_cast<int>(map.cols()), static_cast<int>(map.cols()), 1, map.data(),
                static_cast<int>(map.cols()), other.xx.data(), static_cast<int>(map.cols()), 0, spread.data(),
                static_cast<int>(map.cols()));
    const VectorD shift = other.y_mean - fitted.y_mean - map * (other.x_mean - fitted.x_mean);
    return other.yy - 2 * map.cwiseProduct(other.yx).sum() + map.cwiseProduct(spread).sum() +
           other.count * shift.squaredNorm();
}

}  // namespace

Matrix AffineMap::apply(const Matrix& x) const {
    Matrix y = x * weights;
    y.rowwise() += offset.transpose();
    return y;
}

AffineMap fit_ridge(const Moments& fitted, const Moments& held_out, std::int64_t d_in) {
    if (fitted.count == 0 || held_out.count == 0)
        throw Error("no affine map could be fitted", "there are no rows to fit it on", "");
    keep_blas_single_threaded();
    AffineMap map;
    Moments all = fitted;
    merge_moments(all, held_out);
    const Halves whole(all, d_in);
    map.weights = Matrix::Zero(d_in, whole.y_mean.size());
    map.offset = whole.y_mean.cast<float>();
    {
        const Halves first(fitted, d_in), second(held_out, d_in);
        if (!(first.xx.trace() > 0) || !(whole.yy > 0)) return map;
        const double about_mean = second.yy + second.count * (second.y_mean - first.y_mean).squaredNorm();
        double least = std::numeric_limits<double>::infinity();
        for (const double penalty : kPenalties) {
            const double error = squared_error(solve(first, penalty), first, second);
            if (!(error < least)) break;  // past the best one they only grow
            least = error;
            map.penalty = penalty;
        }
        map.explained = about_mean > 0 ? 1 - least / about_mean : 0;
    }
    const MatrixD weights = solve(whole, map.penalty);
    map.weights = weights.transpose().cast<float>();
    map.offset = (whole.y_mean - weights * whole.x_mean).cast<float>();
    return map;
}

}  // namespace tomograph
