#include "tomograph/select/left_out.h"

#include <fmt/format.h>

#include <algorithm>

namespace tomograph {

LeftOut left_out(const Run& run, const std::vector<Site>& sites) {
    LeftOut left;
    double sum = 0, count = 0;
    for (const Site& site : sites) {
        if (!run.has_site(site)) continue;
        const std::int64_t axes = run.rank(site);
        if (axes == 0) continue;
        left.axes = left.axes == 0 ? axes : std::min(left.axes, axes);
        const auto residuals = run.residuals(site), norms = run.norms(site);
        for (std::size_t i = 0; i < residuals.size(); ++i) {
            const auto norm = static_cast<double>(norms[static_cast<std::size_t>(run.rows()[i])]);
            const auto residual = static_cast<double>(residuals[i]);
            if (!(norm > 0)) continue;
            sum += residual * residual / (norm * norm);
            count += 1;
        }
    }
    if (count > 0) left.share = sum / count;
    return left;
}

std::string LeftOut::note() const {
    if (axes == 0) return "";
    return fmt::format(
        "the run keeps scores on {} axes, not vectors: {:.2g} % of a vector's squared norm is left out on "
        "average",
        axes, 100 * share);
}

}  // namespace tomograph
