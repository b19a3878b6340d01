#pragma once
#include "tomograph/base/json.h"

namespace tomograph {

/// To standard output, indented. Bytes that are no UTF-8 are replaced.
void print_json(const Json& json);

}  // namespace tomograph
