#include "tomograph/linear/sketch_pca.h"

#include <algorithm>
#include <cmath>

#include "tomograph/base/random.h"
#include "tomograph/linear/eigenpairs.h"
#include "tomograph/linear/rows_product.h"

namespace tomograph {
namespace {

constexpr std::int64_t kMore = 16;   // test directions beyond the axes that are wanted
constexpr std::int64_t kRandom = 4;  // of them, those that the first rows know nothing of
constexpr std::int64_t kSample = 4;  // first rows that are looked at, for each test direction
constexpr double kNothing = 1e-9;    // share of the largest eigenvalue below which rounding speaks

Eigenpairs eigen_of(const MatrixD& symmetric) {
    return all_eigenpairs(symmetric, "no axes could be fitted");
}

}  // namespace

void SketchPca::begin(const Matrix& rows) {
    center_ = rows.colwise().mean().transpose();
    offset_ = VectorD::Zero(d_);
    const std::int64_t r = std::min(d_, k_ + kMore);
    const std::int64_t n = std::min<std::int64_t>(rows.rows(), kSample * r);
    Matrix sample(n, d_);
    for (std::int64_t i = 0; i < n; ++i) sample.row(i) = rows.row(i * rows.rows() / n) - center_.transpose();
    Matrix gram(n, n);
    multiply_by_rows(sample.data(), n, sample.data(), n, d_, gram.data());
    const Eigenpairs of = eigen_of(gram.cast<double>());
    Rng random(seed_);
    test_.resize(r, d_);
    std::int64_t found = 0;
    while (found < std::min(n, r - std::min(kRandom, r / 2)) && of.values[found] > 1e-5 * of.values[0] &&
           of.values[0] > 0) {
        test_.row(found) =
            (of.vectors.row(found).cast<float>() * sample) / static_cast<float>(std::sqrt(of.values[found]));
        ++found;
    }
    const double length = std::sqrt(static_cast<double>(d_));
    for (; found < r; ++found) {
        for (std::int64_t i = 0; i < d_; ++i) test_(found, i) = static_cast<float>(random.normal() / length);
    }
    products_ = Matrix::Zero(r, d_);
}

void SketchPca::add(const float* values, std::int64_t n) {
    Matrix rows(n, d_);
    std::int64_t finite = 0;
    for (std::int64_t i = 0; i < n; ++i) {
        const Eigen::Map<const Eigen::RowVectorXf> row(values + i * d_, d_);
        if (row.allFinite()) rows.row(finite++) = row;
    }
    if (finite == 0) return;
    rows.conservativeResize(finite, d_);
    if (count_ == 0) begin(rows);
    rows.rowwise() -= center_.transpose();
    offset_ += rows.cast<double>().colwise().sum().transpose();
    Matrix tested(finite, test_.rows());
    multiply_by_rows(rows.data(), finite, test_.data(), test_.rows(), d_, tested.data());
    add_transposed_product(tested.data(), finite, test_.rows(), rows.data(), d_, products_.data());
    count_ += finite;
}

SketchPca::Axes SketchPca::finish() const {
    Axes axes{.mean = Vector::Zero(d_), .components = Matrix::Zero(1, d_), .squares = VectorD::Zero(1)};
    axes.components(0, 0) = 1;
    if (count_ == 0) return axes;
    const auto n = static_cast<double>(count_);
    const VectorD shift = offset_ / n;  // of the mean from the centre
    axes.mean = (center_.cast<double>() + shift).cast<float>();
    const MatrixD test = test_.cast<double>();
    MatrixD products = products_.cast<double>();
    products.noalias() -= (n * (test * shift)) * shift.transpose();
    MatrixD core = products * test.transpose();  // test C test^T
    core = (0.5 * (core + core.transpose())).eval();
    const Eigenpairs inner = eigen_of(core);
    std::int64_t r = 0;
    while (r < inner.values.size() && inner.values[r] > kNothing * inner.values[0] && inner.values[r] > 0)
        ++r;
    if (r == 0) return axes;
    // C is about F^T F with F = core^(-1/2) products.
    const MatrixD half =
        inner.values.head(r).cwiseSqrt().cwiseInverse().asDiagonal() * (inner.vectors.topRows(r) * products);
    const MatrixD outer = half * half.transpose();
    const Eigenpairs of = eigen_of(outer);
    std::int64_t k = 0;
    const std::int64_t most = std::min({k_, r, std::max<std::int64_t>(count_ - 1, 1)});
    while (k < most && of.values[k] > kNothing * of.values[0]) ++k;
    if (k == 0) return axes;
    const MatrixD components =
        of.values.head(k).cwiseSqrt().cwiseInverse().asDiagonal() * (of.vectors.topRows(k) * half);
    axes.components = components.cast<float>();
    axes.squares = of.values.head(k);
    axes.largest = std::sqrt(of.values[0]);
    return axes;
}

}  // namespace tomograph
