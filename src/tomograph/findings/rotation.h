#pragma once
// How a run's model was made to rotate or to read, what it lost by it, and what its positions lost. For use
// inside findings/ only.
#include "tomograph/findings/finding.h"
#include "tomograph/findings/position_numbers.h"
#include "tomograph/store/run.h"

namespace tomograph {

/// Times the model's own frequencies; 1 where the run says nothing.
double rope_frequency(const Run& run);

/// Mean of -log p(token), nats, over the tokens that something predicted; kNoNumber without --scores.
double mean_loss(const Run& run);

/// How many tokens each one read at most; 0: all before it.
std::int64_t short_context(const Run& run);

/// What part of the share of variance that positions explain is gone in another run of the same text: 1 -
/// other / own, with the interval of a bootstrap over the same sequences. kNoNumber where there is none to
/// lose.
struct GoneShare {
    double value = kNoNumber;
    std::optional<Interval> interval;
};
GoneShare gone_share(const PositionNumbers& own, const PositionNumbers& other);

}  // namespace tomograph
