#include "tomograph/findings/norms.h"

#include <algorithm>
#include <cmath>

namespace tomograph {
namespace {

double median(std::vector<float> values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    if (values.size() % 2 == 1) return *middle;
    return 0.5 * (static_cast<double>(*middle) + *std::max_element(values.begin(), middle));
}

}  // namespace

std::vector<FirstTokenRatio> first_token_ratios(const Run& run, Component component) {
    std::vector<FirstTokenRatio> ratios;
    for (const SiteShape& site : run.sites()) {
        if (site.site.component != component) continue;
        const auto norms = run.norms(site.site);
        std::vector<float> others;
        double first = 0;
        std::int64_t n_first = 0;
        for (std::size_t t = 0; t < norms.size(); ++t) {
            if (!std::isfinite(norms[t])) continue;
            if (run.tokens().position[t] == 0) {
                first += norms[t];
                ++n_first;
            } else {
                others.push_back(norms[t]);
            }
        }
        if (others.empty() || n_first == 0) return {};
        FirstTokenRatio ratio{site.site, first / static_cast<double>(n_first), median(std::move(others)), 0};
        ratio.ratio = ratio.median > 0 ? ratio.first / ratio.median : 0;
        ratios.push_back(ratio);
    }
    return ratios;
}

std::optional<FirstTokenRatio> first_token_ratio(const Run& run, Component component) {
    auto ratios = first_token_ratios(run, component);
    const auto outer = [&](const FirstTokenRatio& ratio) {
        return ratio.site.layer == 0 || ratio.site.layer == run.n_layers() - 1;
    };
    if (!std::all_of(ratios.begin(), ratios.end(), outer)) std::erase_if(ratios, outer);
    if (ratios.empty()) return std::nullopt;
    return *std::max_element(ratios.begin(), ratios.end(),
                             [](const auto& a, const auto& b) { return a.ratio < b.ratio; });
}

}  // namespace tomograph
