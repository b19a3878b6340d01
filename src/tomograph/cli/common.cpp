#include "tomograph/cli/common.h"

#include <fmt/format.h>

namespace tomograph {

void print_json(const Json& json) {
    fmt::print("{}\n", json.dump(1, ' ', false, nlohmann::json::error_handler_t::replace));
}

}  // namespace tomograph
