#include "tomograph/cli/common.h"

#include <fmt/format.h>

namespace tomograph {

void print_json(const Json& json) {
    fmt::print("{}\n", json_text(json, 1));
}

}  // namespace tomograph
