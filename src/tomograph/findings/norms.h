#pragma once
#include <optional>
#include <vector>

#include "tomograph/store/run.h"

namespace tomograph {

/// How far the first token's norm stands out at a site: the mean norm at position 0 over the median norm of
/// all other positions. 1 says that it does not.
struct FirstTokenRatio {
    Site site;
    double first = 0;   ///< mean norm at position 0
    double median = 0;  ///< median norm elsewhere
    double ratio = 0;
};

/// The ratio at every captured `component`, by layer. Empty where sequences have one token only. Norms that
/// are no number are left out.
std::vector<FirstTokenRatio> first_token_ratios(const Run& run, Component component);

/// The largest of them over the captured layers but the model's first and last block; over these where no
/// other was captured.
std::optional<FirstTokenRatio> first_token_ratio(const Run& run, Component component = Component::resid_post);

}  // namespace tomograph
