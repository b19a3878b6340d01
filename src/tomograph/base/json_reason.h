#pragma once
#include <string>

#include "tomograph/base/json.h"

namespace tomograph {

/// Why JSON could not be read, in words about the file and not about the library that reads it: "it has no
/// 'n_rows'", "it holds a number where a string belongs".
std::string json_reason(const Json::exception& error);

}  // namespace tomograph
