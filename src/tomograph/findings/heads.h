#pragma once
#include "tomograph/findings/subject.h"

namespace tomograph {

/// What single heads give, where `z` was captured: the table `heads`, with norm, dimension and CKA with the
/// MLP's output. For use inside findings/ only.
void measure_heads(Subject& subject);

}  // namespace tomograph
