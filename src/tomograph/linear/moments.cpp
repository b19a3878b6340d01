#include "tomograph/linear/moments.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "tomograph/base/error.h"
#include "tomograph/base/threads.h"
#include "tomograph/linear/finite.h"
#include "tomograph/linear/panels.h"

namespace tomograph {
namespace {

/// Rows whose products are summed in float32 before float64 takes over: their rounding stays near 1e-6.
constexpr std::int64_t chunk_rows = 256;
/// Rows that a thread reads or packs at once: a block has enough of them for all threads.
constexpr std::int64_t slice_rows = 64;
constexpr std::int64_t block_bytes = 2 << 20;

/// A power of two that brings values of this magnitude where float32 squares neither overflow nor vanish. 1
/// for all that is near 1, which costs no bit; any other costs none either.
float scale_for(float largest) {
    constexpr int most = 40;
    const int exponent = largest > 0 ? std::ilogb(largest) : 0;
    return std::abs(exponent) <= most ? 1.0f : std::ldexp(1.0f, std::clamp(-exponent, -126, 126));
}

/// One block of rows on its way into the moments.
class Block {
  public:
    Block(const RowSource& rows, int threads)
        : rows_(rows),
          threads_(threads),
          dim_(rows.dim()),
          n_panels_(panels_for(dim_)),
          capacity_(std::clamp<std::int64_t>(block_bytes / (4 * std::max<std::int64_t>(dim_, 1)) / chunk_rows,
                                             1, 32) *
                    chunk_rows),
          copy_(rows.data() ? nullptr : make_float_buffer(capacity_ * dim_)),
          panels_(make_float_buffer(capacity_ * n_panels_ * panel_width)),
          slice_sums_(capacity_ / slice_rows, dim_),
          slice_largest_(capacity_ / slice_rows) {}

    std::int64_t capacity() const { return capacity_; }

    /// Rows [begin, end) replace what the block held; then mean() is theirs and the panels hold them centred.
    void load(std::int64_t begin, std::int64_t end) {
        n_rows_ = end - begin;
        n_chunks_ = (n_rows_ + chunk_rows - 1) / chunk_rows;
        values_ = rows_.data() ? rows_.data() + begin * dim_ : copy_.get();
        const std::int64_t n_slices = (n_rows_ + slice_rows - 1) / slice_rows;
        parallel_for(n_slices, threads_, [&](std::int64_t slice) { read_slice(begin, slice); });
        mean_ = slice_sums_.topRows(n_slices).colwise().sum().transpose() / static_cast<double>(n_rows_);
        scale_ = scale_for(slice_largest_.head(n_slices).maxCoeff());
        center_ = mean_.cast<float>();
        parallel_for(n_slices, threads_, [&](std::int64_t slice) { pack_slice(slice); });
    }

    /// Add this block's products, centred on mean(), to the upper triangle of `comoment`, and shift both
    /// sides to their common mean: `delta` [d] is mean() minus the mean so far, `weight` is n_a n_b / (n_a +
    /// n_b).
    void add_products(MatrixD& comoment, const VectorD& delta, double weight) const {
        const VectorD residual = mean_ - center_.cast<double>();  // what float32 centring left over
        const std::int64_t n_tiles = n_panels_ * (n_panels_ + 1) / 2;
        parallel_for(n_tiles, threads_, [&](std::int64_t tile) {
            std::int64_t p = 0;
            while (tile >= n_panels_ - p) tile -= n_panels_ - p++;
            const std::int64_t q = p + tile;
            MatrixD sum = tile_sum(p, q);
            if (scale_ != 1) sum /= static_cast<double>(scale_) * scale_;
            const std::int64_t i0 = p * panel_width, ni = std::min(panel_width, dim_ - i0);
            const std::int64_t j0 = q * panel_width, nj = std::min(panel_width, dim_ - j0);
            for (std::int64_t i = 0; i < ni; ++i) {
                const double left_over = static_cast<double>(n_rows_) * residual[i0 + i];
                const double shift = weight * delta[i0 + i];
                double* out = &comoment(i0 + i, j0);
                const double* products = &sum(i, 0);
                for (std::int64_t j = 0; j < nj; ++j)
                    out[j] += products[j] - left_over * residual[j0 + j] + shift * delta[j0 + j];
            }
        });
    }

    std::int64_t n_rows() const { return n_rows_; }
    const VectorD& mean() const { return mean_; }

  private:
    void read_slice(std::int64_t begin, std::int64_t slice) {
        const std::int64_t first = slice * slice_rows, last = std::min(first + slice_rows, n_rows_);
        if (copy_) rows_.read(begin + first, begin + last, copy_.get() + first * dim_);
        require_finite(values_ + first * dim_, last - first, dim_, begin + first);
        slice_largest_[slice] =
            Eigen::Map<const Vector>(values_ + first * dim_, (last - first) * dim_).cwiseAbs().maxCoeff();
        auto sum = slice_sums_.row(slice);
        sum.setZero();
        for (std::int64_t row = first; row < last; ++row) {
            sum += Eigen::Map<const Eigen::RowVectorXf>(values_ + row * dim_, dim_).cast<double>();
        }
    }

    float* panel(std::int64_t chunk, std::int64_t p) const {
        return panels_.get() + (chunk * n_panels_ + p) * chunk_rows * panel_width;
    }

    void pack_slice(std::int64_t slice) {
        static_assert(chunk_rows % slice_rows == 0);
        const std::int64_t first = slice * slice_rows, last = std::min(first + slice_rows, n_rows_);
        for (std::int64_t p = 0; p < n_panels_; ++p) {
            const std::int64_t j0 = p * panel_width, nj = std::min(panel_width, dim_ - j0);
            float* out = panel(first / chunk_rows, p) + first % chunk_rows * panel_width;
            for (std::int64_t row = first; row < last; ++row, out += panel_width) {
                for (std::int64_t j = 0; j < nj; ++j)
                    out[j] = scale_ * values_[row * dim_ + j0 + j] - scale_ * center_[j0 + j];
                for (std::int64_t j = nj; j < panel_width; ++j) out[j] = 0;
            }
        }
    }

    /// [48, 48] products of columns of panel p with columns of panel q over all rows of the block.
    MatrixD tile_sum(std::int64_t p, std::int64_t q) const {
        MatrixD sum = MatrixD::Zero(panel_width, panel_width);
        alignas(64) float tile[tile_size];
        for (std::int64_t chunk = 0; chunk < n_chunks_; ++chunk) {
            const std::int64_t n = std::min(chunk_rows, n_rows_ - chunk * chunk_rows);
            multiply_panels(panel(chunk, p), panel(chunk, q), n, tile);
            sum += MatrixView(tile, panel_width, panel_width).cast<double>();
        }
        return sum;
    }

    const RowSource& rows_;
    const int threads_;
    const std::int64_t dim_, n_panels_, capacity_;
    FloatBuffer copy_;
    FloatBuffer panels_;    // [chunk][panel][row][48]
    MatrixD slice_sums_;    // [slice, d]
    Vector slice_largest_;  // [slice] largest magnitude
    float scale_ = 1;       // of what the panels hold
    const float* values_ = nullptr;
    std::int64_t n_rows_ = 0, n_chunks_ = 0;
    VectorD mean_;
    Vector center_;
};

}  // namespace

MatrixD Moments::covariance() const {
    return comoment / static_cast<double>(std::max<std::int64_t>(count - 1, 1));
}

Moments compute_moments(const RowSource& rows, const MomentsOptions& options, Progress& progress) {
    const std::int64_t n = rows.n_rows(), dim = rows.dim();
    if (n == 0 || dim == 0) throw Error("cannot take the moments of no rows", "the selection is empty", "");
    Moments moments{0, VectorD::Zero(dim), MatrixD::Zero(dim, dim)};
    Block block(rows, thread_count(options.threads));
    progress.begin("moments", n, "rows");
    for (std::int64_t begin = 0; begin < n; begin += block.capacity()) {
        if (progress.stop_requested()) throw Stopped("nothing of this PCA is kept");
        block.load(begin, std::min(begin + block.capacity(), n));
        const auto before = static_cast<double>(moments.count), added = static_cast<double>(block.n_rows());
        const VectorD delta = block.mean() - moments.mean;
        block.add_products(moments.comoment, delta, before * added / (before + added));
        moments.mean += delta * (added / (before + added));
        moments.count += block.n_rows();
        progress.update(moments.count);
    }
    moments.comoment.triangularView<Eigen::StrictlyLower>() = moments.comoment.transpose();
    progress.end();
    return moments;
}

void merge_moments(Moments& into, const Moments& other) {
    if (other.count == 0) return;
    if (into.count == 0) {
        into = other;
        return;
    }
    if (into.mean.size() != other.mean.size()) {
        throw Error(
            "cannot merge moments",
            fmt::format("one is of dimension {}, the other of {}", into.mean.size(), other.mean.size()), "");
    }
    const auto a = static_cast<double>(into.count), b = static_cast<double>(other.count);
    const VectorD delta = other.mean - into.mean;
    into.comoment += other.comoment;
    into.comoment.noalias() += (a * b / (a + b) * delta) * delta.transpose();
    into.mean += delta * (b / (a + b));
    into.count += other.count;
}

}  // namespace tomograph
