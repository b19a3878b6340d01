#include "tomograph/select/experts.h"

#include <algorithm>
#include <map>

namespace tomograph {

bool keeps_routers(const Run& run) {
    return std::ranges::any_of(run.sites(), [&](const SiteShape& shape) {
        return shape.site.component == Component::router && run.has_vectors(shape.site);
    });
}

std::int32_t preferred_expert(std::span<const float> gates) {
    return static_cast<std::int32_t>(std::ranges::max_element(gates) - gates.begin());
}

std::vector<std::int32_t> preferred_experts(const Run& run, const RowLabels& rows) {
    constexpr std::int64_t kBlock = 4096;
    std::map<int, std::vector<std::int32_t>> preferred;  // by layer, of each token
    for (const SiteShape& shape : run.sites()) {
        if (shape.site.component != Component::router || !run.has_vectors(shape.site)) continue;
        const auto width = static_cast<std::size_t>(shape.width());
        auto& of_token = preferred[shape.site.layer];
        of_token.assign(static_cast<std::size_t>(run.n_tokens()), -1);
        std::vector<float> gates(kBlock * width);
        for (std::int64_t begin = 0; begin < run.n_rows(); begin += kBlock) {
            const std::int64_t end = std::min(begin + kBlock, run.n_rows());
            run.read_rows(shape.site, begin, end, gates.data());
            for (std::int64_t row = begin; row < end; ++row) {
                of_token[static_cast<std::size_t>(run.rows()[static_cast<std::size_t>(row)])] =
                    preferred_expert({&gates[static_cast<std::size_t>(row - begin) * width], width});
            }
        }
    }
    if (preferred.empty()) return {};
    std::vector<std::int32_t> experts(static_cast<std::size_t>(rows.size()), -1);
    for (std::size_t i = 0; i < experts.size(); ++i) {
        const auto layer = preferred.find(rows.site(static_cast<std::int64_t>(i)).layer);
        if (layer != preferred.end() && rows.token[i] >= 0)
            experts[i] = layer->second[static_cast<std::size_t>(rows.token[i])];
    }
    return experts;
}

}  // namespace tomograph
