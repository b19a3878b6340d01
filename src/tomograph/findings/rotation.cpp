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

}  // namespace tomograph
