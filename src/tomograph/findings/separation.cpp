#include "tomograph/findings/separation.h"

#include <algorithm>
#include <cmath>

namespace tomograph {

Range middle_layers(int n_layers) {
    if (n_layers < 3) return {0, n_layers};
    const auto begin = std::max<std::int64_t>(1, n_layers / 6);
    return {begin, std::max<std::int64_t>(begin + 1, n_layers - begin)};
}

std::optional<MeanCosine> attention_mlp_cosine(const Run& run, const Range& layers, const Range& positions) {
    constexpr std::int64_t kBlock = 1024;
    double sum = 0, squares = 0;
    MeanCosine result;
    for (const SiteShape& site : run.sites()) {
        const Site mlp{Component::mlp_out, site.site.layer};  // of the same block
        if (site.site.component != Component::attn_out || !layers.contains(site.site.layer, run.n_layers()) ||
            !run.has_vectors(mlp))
            continue;
        Matrix a(kBlock, site.width()), b(kBlock, site.width());
        for (std::int64_t begin = 0; begin < run.n_rows(); begin += kBlock) {
            const std::int64_t end = std::min(run.n_rows(), begin + kBlock);
            run.read_rows(site.site, begin, end, a.data());
            run.read_rows(mlp, begin, end, b.data());
            for (std::int64_t i = 0; i < end - begin; ++i) {
                const auto token = static_cast<std::size_t>(run.rows()[static_cast<std::size_t>(begin + i)]);
                if (!positions.contains(run.tokens().position[token], run.length())) continue;
                const auto x = a.row(i).cast<double>(), y = b.row(i).cast<double>();
                const double norms = std::sqrt(x.squaredNorm() * y.squaredNorm());
                if (!(norms > 0)) continue;
                const double cosine = x.dot(y) / norms;
                sum += cosine;
                squares += cosine * cosine;
                ++result.pairs;
            }
        }
    }
    if (result.pairs == 0) return std::nullopt;
    const auto n = static_cast<double>(result.pairs);
    result.mean = sum / n;
    result.deviation = std::sqrt(std::max(0.0, squares / n - result.mean * result.mean));
    return result;
}

}  // namespace tomograph
