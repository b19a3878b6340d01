#include "tomograph/linear/pca.h"

#include <fmt/format.h>

#include <Spectra/SymEigsSolver.h>
#include <algorithm>
#include <atomic>
#include <cmath>
#include <optional>

#include "tomograph/base/counted.h"
#include "tomograph/base/error.h"
#include "tomograph/base/threads.h"
#include "tomograph/linear/eigenpairs.h"
#include "tomograph/linear/finite.h"

namespace tomograph {
namespace {

/// Below this total variance, moments are scaled up before their eigenvectors are sought.
constexpr double smallest_variance = 1e-12;

/// y = A x with the whole matrix: Eigen's product of a symmetric view reads half as much but is not
/// vectorised.
class Product {
  public:
    using Scalar = double;
    explicit Product(const MatrixD& matrix) : matrix_(matrix) {}
    Eigen::Index rows() const { return matrix_.rows(); }
    Eigen::Index cols() const { return matrix_.cols(); }
    void perform_op(const double* x, double* y) const {
        Eigen::Map<VectorD>(y, rows()).noalias() = matrix_ * Eigen::Map<const VectorD>(x, cols());
    }

  private:
    const MatrixD& matrix_;
};

/// Nothing when the iteration did not converge (many equal eigenvalues).
std::optional<Eigenpairs> lanczos(const MatrixD& symmetric, int k) {
    Product product(symmetric);
    const auto basis = std::min<Eigen::Index>(symmetric.rows(), std::max(4 * k, 32));
    Spectra::SymEigsSolver<Product> solver(product, k, basis);
    solver.init();
    solver.compute(Spectra::SortRule::LargestAlge, 300, 1e-12, Spectra::SortRule::LargestAlge);
    if (solver.info() != Spectra::CompInfo::Successful) return std::nullopt;
    return Eigenpairs{solver.eigenvalues(), solver.eigenvectors().transpose()};
}

Eigenpairs leading_eigenpairs(const MatrixD& symmetric, int k) {
    if (symmetric.rows() >= 64 && k <= symmetric.rows() / 8) {
        if (auto pairs = lanczos(symmetric, k)) return *std::move(pairs);
    }
    const Eigenpairs all = all_eigenpairs(symmetric, "PCA failed");
    return {all.values.head(k), all.vectors.topRows(k)};
}

void fix_signs(MatrixD& vectors) {
    for (Eigen::Index i = 0; i < vectors.rows(); ++i) {
        Eigen::Index largest = 0;
        vectors.row(i).cwiseAbs().maxCoeff(&largest);
        if (vectors(i, largest) < 0) vectors.row(i) = -vectors.row(i);
    }
}

void require_enough_rows(std::int64_t n_rows, const PcaOptions& options) {
    if (n_rows >= (options.center ? 2 : 1)) return;
    throw Error("cannot fit a PCA to " + counted(n_rows, "row"), "variance needs at least 2",
                "select more rows");
}

}  // namespace

Pca fit_pca(const RowSource& rows, const PcaOptions& options, Progress& progress) {
    require_enough_rows(rows.n_rows(), options);
    return fit_pca(compute_moments(rows, {options.threads}, progress), options);
}

Pca fit_pca(const Moments& moments, const PcaOptions& options) {
    require_enough_rows(moments.count, options);
    if (options.n_components < 0) {
        throw Error(fmt::format("cannot fit {} components", options.n_components), "", "ask for at least 1");
    }
    const std::int64_t d = moments.mean.size();
    const std::int64_t most = std::min(d, moments.count - (options.center ? 1 : 0));
    const auto k = static_cast<int>(
        options.n_components == 0 ? most : std::min<std::int64_t>(options.n_components, most));

    MatrixD spread = moments.covariance();
    if (!options.center) {
        const auto n = static_cast<double>(moments.count);
        spread.noalias() += (n / std::max(n - 1, 1.0) * moments.mean) * moments.mean.transpose();
    }
    Pca pca;
    pca.n_rows = moments.count;
    pca.mean = options.center ? Vector(moments.mean.cast<float>()) : Vector::Zero(d);
    pca.total_variance = spread.trace();
    if (pca.total_variance <= 0) {
        pca.components = Matrix::Identity(k, d);
        pca.explained_variance = VectorD::Zero(k);
        pca.explained_variance_ratio = VectorD::Zero(k);
        return pca;
    }
    // Lanczos takes what lies near 1e-11 for converged; a power of two costs no bit.
    const int exponent = pca.total_variance < smallest_variance ? -std::ilogb(pca.total_variance) : 0;
    if (exponent != 0) spread *= std::ldexp(1.0, exponent);
    auto pairs = leading_eigenpairs(spread, k);
    pairs.values *= std::ldexp(1.0, -exponent);
    fix_signs(pairs.vectors);
    pca.components = pairs.vectors.cast<float>();
    pca.explained_variance = pairs.values;
    for (double& variance : pca.explained_variance)
        variance = std::max(variance, 0.0);  // rounding below zero
    pca.explained_variance_ratio = pca.explained_variance / pca.total_variance;
    return pca;
}

Matrix transform(const Pca& pca, const RowSource& rows, const TransformOptions& options, Progress& progress) {
    const std::int64_t n = rows.n_rows(), d = rows.dim(), k = pca.n_components();
    if (d != pca.mean.size()) {
        throw Error(fmt::format("cannot project rows of dimension {}", d),
                    fmt::format("the PCA was fitted to dimension {}", pca.mean.size()), "");
    }
    Matrix basis = pca.components;  // [k, d]
    if (options.whiten) {
        // Below this share of the largest variance, what is left is rounding.
        const double floor = k ? 1e-12 * pca.explained_variance[0] : 0;
        for (std::int64_t i = 0; i < k; ++i) {
            const double variance = pca.explained_variance[i];
            basis.row(i) *= variance > floor ? static_cast<float>(1 / std::sqrt(variance)) : 0.0f;
        }
    }
    constexpr std::int64_t block_rows = 512;
    const std::int64_t n_blocks = (n + block_rows - 1) / block_rows;
    Matrix scores(n, k);
    std::atomic<std::int64_t> done{0};
    progress.begin("projecting", n, "rows");
    parallel_for(n_blocks, thread_count(options.threads), [&](std::int64_t block) {
        if (progress.stop_requested()) throw Stopped("nothing of this projection is kept");
        const std::int64_t begin = block * block_rows, end = std::min(begin + block_rows, n);
        Matrix values(end - begin, d);
        rows.read(begin, end, values.data());
        require_finite(values.data(), end - begin, d, begin);
        if (options.center) values.rowwise() -= pca.mean.transpose();
        scores.middleRows(begin, end - begin).noalias() = values * basis.transpose();
        progress.update(done += end - begin);
    });
    progress.end();
    return scores;
}

}  // namespace tomograph
