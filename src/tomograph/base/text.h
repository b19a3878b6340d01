#pragma once
#include <string>
#include <string_view>

#include "tomograph/base/json.h"

namespace tomograph {

/// Length of the valid UTF-8 sequence that begins `bytes` (1 to 4), or 0 where there is none.
std::size_t utf8_length(std::string_view bytes);

/// A token's bytes as JSON: a string where they are valid UTF-8, else an array of byte values.
Json piece_to_json(const std::string& piece);
/// Errors: JsonError for what is neither.
std::string piece_from_json(const Json& json);
/// A token's bytes for eyes: valid UTF-8, invalid bytes and control characters as \xNN, line breaks as \n.
std::string printable(const std::string& piece);

}  // namespace tomograph
