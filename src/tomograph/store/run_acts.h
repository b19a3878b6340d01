#pragma once
#include <string>

#include "tomograph/store/run.h"

namespace tomograph {

/// What was changed of the model while a run was captured, such as "zero blocks.1.attn_out at 1:"; empty:
/// nothing.
std::string acts_of(const Run& run);

}  // namespace tomograph
