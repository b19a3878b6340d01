#include "tomograph/reduce/sketch.h"

#include <algorithm>

#include "tomograph/base/random.h"
#include "tomograph/reduce/pca.h"

namespace tomograph {

Sketch::Sketch(const RowSource& rows, const PreparedSpace& space, const Options& options)
    : full_width_(space.width()), width_(space.width()) {
    const auto chosen = sample_indices(rows.n_rows(), options.sample_rows, mix(options.seed, 0x5ce7c4));
    Matrix sample(chosen.size(), full_width_);
    for (std::size_t i = 0; i < chosen.size(); ++i) {
        space.read(rows, chosen[i], chosen[i] + 1, sample.row(static_cast<Eigen::Index>(i)).data());
    }
    if (options.share >= 1 || full_width_ <= panel_width || chosen.size() < 2) {
        mean_ = sample.cast<double>().colwise().mean().cast<float>();
        return;
    }
    // All eigenvectors while they are cheap; of long vectors, as many as Lanczos finds quickly.
    const bool all = full_width_ <= 1040;
    const int n_components = all ? 0 : static_cast<int>(full_width_ / 16);
    const Pca pca = fit_pca(MatrixRows(sample), {.n_components = n_components, .threads = options.threads});
    mean_ = pca.mean;
    double kept = 0;
    std::int64_t needed = 0;
    while (needed < pca.n_components() && kept < options.share)
        kept += pca.explained_variance_ratio[needed++];
    const std::int64_t n_panels = panels_for(std::max<std::int64_t>(needed, 1));
    if (pca.total_variance <= 0 || n_panels * panel_width > full_width_ * 6 / 10) return;
    width_ = std::min<std::int64_t>(n_panels * panel_width, pca.n_components());
    basis_ = make_float_buffer(n_panels * panel_floats(full_width_));
    for (std::int64_t p = 0; p < n_panels; ++p) {
        const std::int64_t first = p * panel_width, n = std::min(panel_width, width_ - first);
        pack_panel(pca.components.data() + first * full_width_, n, full_width_, full_width_,
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
            for (std::int64_t t = 0; t < full_width_; ++t) difference[t] = in[t] - mean_[t];
            half_norms[begin + row] = 0.5f * Eigen::Map<const Vector>(difference, full_width_).squaredNorm();
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
    }
}

}  // namespace tomograph
