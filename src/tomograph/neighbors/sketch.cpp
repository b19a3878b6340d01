#include "tomograph/neighbors/sketch.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "tomograph/base/error.h"
#include "tomograph/base/random.h"
#include "tomograph/base/threads.h"
#include "tomograph/linear/leading_directions.h"

namespace tomograph {
namespace {

/// Squares of smaller differences vanish in float32, or keep few of their digits.
constexpr float smallest_comparable = 1e-17f;

/// Of each column, over some of the rows. A few columns are taken out at a time: one alone would read a cache
/// line for each value.
Vector medians(const Matrix& rows, int threads) {
    constexpr Eigen::Index columns = 16, enough = 1024;
    const Eigen::Index every = std::max<Eigen::Index>(rows.rows() / enough, 1), d = rows.cols();
    const Eigen::Index n = (rows.rows() + every - 1) / every;
    Vector result(d);
    parallel_for((d + columns - 1) / columns, threads, [&](std::int64_t block) {
        const Eigen::Index first = block * columns, count = std::min(columns, d - first);
        Matrix taken(count, n);
        for (Eigen::Index i = 0; i < n; ++i)
            for (Eigen::Index j = 0; j < count; ++j) taken(j, i) = rows(i * every, first + j);
        for (Eigen::Index j = 0; j < count; ++j) {
            float* column = taken.row(j).data();
            std::nth_element(column, column + n / 2, column + n);
            result[first + j] = column[n / 2];
        }
    });
    return result;
}

float half_squared_norm(const float* vector, std::int64_t width) {
    return 0.5f * Eigen::Map<const Vector>(vector, width).squaredNorm();
}

}  // namespace

Sketch::Sketch(const RowSource& rows, const PreparedSpace& space, const Options& options)
    : full_width_(space.width()), width_(space.width()) {
    const auto chosen = sample_indices(rows.n_rows(), options.sample_rows, mix(options.seed, 0x5ce7c4));
    Matrix sample(chosen.size(), full_width_);
    for (std::size_t i = 0; i < chosen.size(); ++i) {
        space.read(rows, chosen[i], chosen[i] + 1, sample.row(static_cast<Eigen::Index>(i)).data());
    }
    const int threads = thread_count(options.threads);
    center_ = medians(sample, threads);
    sample.rowwise() -= center_.transpose();
    const float largest = sample.cwiseAbs().maxCoeff();
    if (space.metric() == Metric::euclidean && largest > 0 && largest < smallest_comparable) {
        throw Error(fmt::format("rows that differ by {:.1e} at most cannot be compared", largest),
                    "its square is nothing in float32", "compare by cosine, or normalise them first");
    }
    std::vector<float> norms;
    for (Eigen::Index i = 0; i < sample.rows(); ++i) {
        norms.push_back(sample.row(i).norm());
        if (norms.back() > 0) sample.row(i) /= norms.back();
    }
    std::nth_element(norms.begin(), norms.begin() + static_cast<std::ptrdiff_t>(norms.size() / 2),
                     norms.end());
    typical_norm_ = std::max(norms[norms.size() / 2], 1e-30f);
    constexpr std::int64_t n_panels = 2;
    if (full_width_ <= n_panels * panel_width || chosen.size() < 2) return;
    const Matrix directions =
        leading_directions(sample, n_panels * panel_width, mix(options.seed, 0x6c64), threads);
    if (directions.rows() == 0) return;  // all lie on the centre
    width_ = directions.rows();
    basis_ = make_float_buffer(n_panels * panel_floats(full_width_));
    for (std::int64_t p = 0; p < n_panels; ++p) {
        const std::int64_t first = p * panel_width, n = std::min(panel_width, width_ - first);
        pack_panel(directions.data() + first * full_width_, n, full_width_, full_width_,
                   basis_.get() + p * panel_floats(full_width_));
    }
}

void Sketch::apply(const float* prepared, std::int64_t n, float* out, float* half_norms) const {
    const auto centred = make_float_buffer(panel_width * full_width_);
    const auto panel = make_float_buffer(panel_floats(full_width_));
    alignas(64) float tile[tile_size];
    for (std::int64_t begin = 0; begin < n; begin += panel_width) {
        const std::int64_t m = std::min(panel_width, n - begin);
        float* target = whole() ? out + begin * width_ : centred.get();
        for (std::int64_t row = 0; row < m; ++row) {
            const float* in = prepared + (begin + row) * full_width_;
            float* difference = target + row * full_width_;
            for (std::int64_t t = 0; t < full_width_; ++t) difference[t] = in[t] - center_[t];
            if (whole()) half_norms[begin + row] = half_squared_norm(difference, full_width_);
        }
        if (whole()) continue;
        pack_panel(centred.get(), m, full_width_, full_width_, panel.get());
        for (std::int64_t first = 0; first < width_; first += panel_width) {
            const float* basis = basis_.get() + first / panel_width * panel_floats(full_width_);
            multiply_panels(panel.get(), basis, full_width_, tile);
            const std::int64_t k = std::min(panel_width, width_ - first);
            for (std::int64_t row = 0; row < m; ++row) {
                std::copy_n(tile + row * panel_width, k, out + (begin + row) * width_ + first);
            }
        }
        for (std::int64_t row = begin; row < begin + m; ++row) {
            half_norms[row] = half_squared_norm(out + row * width_, width_);
        }
    }
}

}  // namespace tomograph
