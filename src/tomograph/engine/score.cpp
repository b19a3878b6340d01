#include "tomograph/engine/score.h"

#include <algorithm>
#include <cmath>

namespace tomograph {

TokenScore score_token(std::span<const float> logits, std::int32_t token) {
    const float mine = logits[static_cast<std::size_t>(token)];
    const double top = *std::max_element(logits.begin(), logits.end());
    double sum = 0, weighted = 0;  // of exp(x) and x exp(x), x below the top one
    std::int64_t above = 0;
    for (const float logit : logits) {
        const double x = logit - top, e = std::exp(x);
        sum += e;
        // A logit of -inf is a token that never comes: 0 log 0 is 0.
        if (e > 0) weighted += x * e;
        above += logit > mine;
    }
    const double log_sum = std::log(sum);
    return {static_cast<float>(mine - top - log_sum), static_cast<float>(log_sum - weighted / sum),
            static_cast<float>(above + 1)};
}

}  // namespace tomograph
