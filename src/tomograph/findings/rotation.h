#pragma once
// How a run's model was made to rotate, and what it lost by it. For use inside findings/ only.
#include "tomograph/store/run.h"

namespace tomograph {

/// Times the model's own frequencies; 1 where the run says nothing.
double rope_frequency(const Run& run);

/// Mean of -log p(token), nats, over the tokens that something predicted; kNoNumber without --scores.
double mean_loss(const Run& run);

}  // namespace tomograph
