#include "tomograph/statistics/subspaces.h"

#include <algorithm>
#include <vector>

#include "tomograph/base/random.h"
#include "tomograph/base/threads.h"
#include "tomograph/statistics/statistics.h"

namespace tomograph {
namespace {

/// k orthonormal columns [d, k] in a random direction: Gaussian ones, each without its part along the former.
MatrixD random_frame(Eigen::Index d, Eigen::Index k, std::uint64_t seed) {
    Rng rng(seed);
    MatrixD frame(d, k);
    for (double& value : frame.reshaped<Eigen::RowMajor>()) value = rng.normal();
    for (Eigen::Index c = 0; c < k; ++c) {
        const auto before = frame.leftCols(c);
        frame.col(c) -= before * (before.transpose() * frame.col(c)).eval();
        frame.col(c).normalize();
    }
    return frame;
}

}  // namespace

double subspace_overlap(const MatrixD& a, const MatrixD& b) {
    return (a * b.transpose()).squaredNorm() / static_cast<double>(std::min(a.rows(), b.rows()));
}

double random_overlap(std::int64_t k_a, std::int64_t k_b, std::int64_t d) {
    return static_cast<double>(std::max(k_a, k_b)) / static_cast<double>(d);
}

InsideShare share_inside(const MatrixD& rows, const MatrixD& basis, int subspaces, std::uint64_t seed,
                         int threads) {
    const MatrixD centred = rows.rowwise() - rows.colwise().mean().eval();
    const double total = centred.squaredNorm();
    InsideShare share{kNoNumber, kNoNumber, kNoNumber};
    if (!(total > 1e-10 * rows.squaredNorm())) return share;
    const auto inside = [&](const MatrixD& columns) { return (centred * columns).squaredNorm() / total; };
    share.value = inside(basis.transpose());
    if (subspaces < 1) return share;
    std::vector<double> values(static_cast<std::size_t>(subspaces));
    parallel_for(subspaces, threads, [&](std::int64_t s) {
        const auto i = static_cast<std::size_t>(s);
        values[i] = inside(random_frame(basis.cols(), basis.rows(), mix(seed, i)));
    });
    const auto as_much = std::ranges::count_if(values, [&](double value) { return value >= share.value; });
    share.random = quantile(values, 0.975);
    share.p = static_cast<double>(1 + as_much) / (subspaces + 1);
    return share;
}

}  // namespace tomograph
