#include "tomograph/engine/given.h"

#include <algorithm>
#include <numeric>

namespace tomograph {

bool ends_alone(const Engine& engine) {
    return std::ranges::none_of(engine.sites(), [](const SiteShape& shape) {
        return shape.site.component == Component::attn_depth || shape.site.component == Component::mlp_depth;
    });
}

void run_given(Engine& engine, std::size_t site, std::span<const float> rows,
               const std::vector<std::size_t>& reads, Tap& tap) {
    const std::size_t n = rows.size() / static_cast<std::size_t>(engine.sites()[site].width());
    Plan plan{.reads = reads, .given = Given{site, rows}};
    if (reads.empty()) {
        plan.logits.resize(n);
        std::iota(plan.logits.begin(), plan.logits.end(), std::int64_t{0});
    }
    const Sequence placeholder{.tokens = std::vector<std::int32_t>(n, 0), .source = {0}};
    engine.run({&placeholder, 1}, plan, tap);
}

}  // namespace tomograph
