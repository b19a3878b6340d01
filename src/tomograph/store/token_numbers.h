#pragma once
#include <string>
#include <vector>

#include "tomograph/store/run.h"

namespace tomograph {

/// Numbers of each token that were computed from a run after its capture: RUN/numbers/NAME.safetensors, which
/// Run::scores() and Run::score() give beside the captured ones when the run is opened again.
/// `values` [n_tokens], NaN where there is none. Replaces numbers of the same name. Errors: Error for a name
/// that is no lower-case word or is a captured score's, another number of values, a run that cannot be
/// written.
void save_token_numbers(const Run& run, const std::string& name, const std::vector<float>& values);

}  // namespace tomograph
