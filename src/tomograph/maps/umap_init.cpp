#include "tomograph/maps/umap_init.h"

#include <Spectra/SymEigsSolver.h>
#include <algorithm>
#include <cmath>
#include <vector>

#include "tomograph/base/random.h"
#include "tomograph/base/threads.h"
#include "tomograph/linear/pca.h"

namespace tomograph {
namespace {

/// What a PCA of the prepared rows reads.
class PreparedRows final : public RowSource {
  public:
    PreparedRows(const RowSource& rows, Metric metric) : rows_(rows), space_(metric, rows.dim()) {}
    std::int64_t n_rows() const override { return rows_.n_rows(); }
    std::int64_t dim() const override { return space_.width(); }
    void read(std::int64_t begin, std::int64_t end, float* out) const override {
        space_.read(rows_, begin, end, out);
    }

  private:
    const RowSource& rows_;
    PreparedSpace space_;
};

/// Clamp each column to its middle `share`, stretch it over [0, 10], add noise.
void scale_and_jitter(Matrix& points, double share, std::uint64_t seed) {
    const std::int64_t n = points.rows();
    for (Eigen::Index d = 0; d < points.cols(); ++d) {
        std::vector<float> column(n);
        Eigen::Map<Vector>(column.data(), n) = points.col(d);
        const auto cut = static_cast<std::int64_t>((1 - share) / 2 * static_cast<double>(n));
        std::nth_element(column.begin(), column.begin() + cut, column.end());
        const float low = column[cut];
        std::nth_element(column.begin(), column.begin() + (n - 1 - cut), column.end());
        const float high = column[n - 1 - cut];
        const float wide = 10 / (high - low);  // infinite where rounding is all that there is
        const float scale = high > low && std::isfinite(wide) ? wide : 0.0f;
        for (std::int64_t i = 0; i < n; ++i) {
            const float scaled = (std::clamp(points(i, d), low, high) - low) * scale;
            // Where a dimension says nothing, noise is all there is to start from.
            const double noise =
                (scale > 0 ? 2e-3 : 10) *
                (to_unit(mix(seed, static_cast<std::uint64_t>(i), static_cast<std::uint64_t>(d))) - 0.5);
            points(i, d) = scaled + static_cast<float>(noise);
        }
    }
}

/// y = (I + D^-1/2 W D^-1/2) x / 2: eigenvalues in [0, 1], the Laplacian's smallest are its largest.
class SmoothingProduct {
  public:
    using Scalar = double;
    SmoothingProduct(const WeightedGraph& graph, int threads)
        : graph_(graph), threads_(threads), scale_(graph.n()) {
        for (std::int64_t i = 0; i < graph.n(); ++i) {
            double degree = 0;
            for (auto e = graph.offsets[i]; e < graph.offsets[i + 1]; ++e) degree += graph.weights[e];
            scale_[i] = degree > 0 ? 1 / std::sqrt(degree) : 0;
        }
    }
    Eigen::Index rows() const { return graph_.n(); }
    Eigen::Index cols() const { return graph_.n(); }
    void perform_op(const double* x, double* y) const {
        constexpr std::int64_t block_rows =
            128;  // a graph of lists has no more than a thousand, but wide ones
        parallel_for((graph_.n() + block_rows - 1) / block_rows, threads_, [&](std::int64_t block) {
            for (std::int64_t i = block * block_rows; i < std::min((block + 1) * block_rows, graph_.n());
                 ++i) {
                double sum = 0;
                for (auto e = graph_.offsets[i]; e < graph_.offsets[i + 1]; ++e) {
                    sum += graph_.weights[e] * scale_[graph_.targets[e]] * x[graph_.targets[e]];
                }
                y[i] = (x[i] + scale_[i] * sum) / 2;
            }
        });
    }

  private:
    const WeightedGraph& graph_;
    int threads_;
    VectorD scale_;
};

}  // namespace

Matrix pca_init(const RowSource& rows, Metric metric, int dims, std::uint64_t seed, int threads) {
    const PreparedRows prepared(rows, metric);
    const Pca pca = fit_pca(prepared, {.n_components = dims, .threads = threads});
    Matrix points = Matrix::Zero(rows.n_rows(), dims);
    points.leftCols(pca.n_components()) = transform(pca, prepared, {.threads = threads});
    scale_and_jitter(points, 0.99, seed);
    return points;
}

std::optional<Matrix> spectral_init(const WeightedGraph& graph, int dims, std::uint64_t seed, int threads) {
    const std::int64_t n = graph.n();
    const int wanted = dims + 1;
    if (n < 4 * wanted || count_components(graph) != 1) return std::nullopt;
    SmoothingProduct product(graph, thread_count(threads));
    const auto basis = std::min<std::int64_t>(n, std::max(60, 4 * wanted));
    Spectra::SymEigsSolver<SmoothingProduct> solver(product, wanted, basis);
    solver.init();
    solver.compute(Spectra::SortRule::LargestAlge, 60, 1e-4, Spectra::SortRule::LargestAlge);
    if (solver.info() != Spectra::CompInfo::Successful) return std::nullopt;
    Matrix points = solver.eigenvectors().rightCols(dims).cast<float>();
    for (Eigen::Index d = 0; d < dims; ++d) {  // a fixed sign
        Eigen::Index largest = 0;
        points.col(d).cwiseAbs().maxCoeff(&largest);
        if (points(largest, d) < 0) points.col(d) = -points.col(d);
    }
    scale_and_jitter(points, 1.0, seed);
    return points;
}

Matrix init_from_groups(const WeightedGraph& graph, const std::vector<std::int32_t>& group_of,
                        const Matrix& groups, std::uint64_t seed) {
    Matrix points(graph.n(), groups.cols());
    for (std::int64_t i = 0; i < graph.n(); ++i) {
        Eigen::RowVectorXf sum = groups.row(group_of[i]);
        float total = 1;
        for (auto e = graph.offsets[i]; e < graph.offsets[i + 1]; ++e) {
            sum += graph.weights[e] * groups.row(group_of[graph.targets[e]]);
            total += graph.weights[e];
        }
        points.row(i) = sum / total;
    }
    scale_and_jitter(points, 1.0, seed);
    return points;
}

}  // namespace tomograph
