#include "tomograph/findings/rotation.h"

#include <algorithm>
#include <cmath>

#include "tomograph/statistics/statistics.h"

namespace tomograph {

double rope_frequency(const Run& run) {
    const auto capture = run.json().find("capture");
    if (capture == run.json().end() || !capture->is_object()) return 1;
    const Json frequency = capture->value("rope_frequency", Json(1.0));
    return frequency.is_number() ? frequency.get<double>() : 1;
}

double mean_loss(const Run& run) {
    if (std::ranges::find(run.scores(), "logprob") == run.scores().end()) return kNoNumber;
    double sum = 0, count = 0;
    for (const float logprob : run.score("logprob")) {
        if (std::isnan(logprob)) continue;
        sum -= static_cast<double>(logprob);
        ++count;
    }
    return count > 0 ? sum / count : kNoNumber;
}

std::int64_t short_context(const Run& run) {
    const auto capture = run.json().find("capture");
    if (capture == run.json().end() || !capture->is_object()) return 0;
    const Json context = capture->value("context", Json(0));
    return context.is_number_integer() ? context.get<std::int64_t>() : 0;
}

GoneShare gone_share(const PositionNumbers& own, const PositionNumbers& other) {
    GoneShare gone;
    if (!(own.mean_shared > 0)) return gone;
    gone.value = 1 - other.mean_shared / own.mean_shared;
    if (own.n_groups < kFewestGroups) return gone;
    std::vector<double> replicates;
    for (std::size_t r = 0; r < std::min(own.shared_replicates.size(), other.shared_replicates.size()); ++r) {
        if (own.shared_replicates[r] > 0)
            replicates.push_back(1 - other.shared_replicates[r] / own.shared_replicates[r]);
    }
    if (replicates.size() >= 10) gone.interval = stretched_percentiles(gone.value, replicates, own.n_groups);
    return gone;
}

}  // namespace tomograph
