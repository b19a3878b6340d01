#pragma once
#include <string>
#include <string_view>

#include "tomograph/base/json.h"

namespace tomograph {

/// A character at the front of some bytes; `length` 0 where no valid UTF-8 begins them.
struct Utf8Character {
    std::size_t length = 0;
    char32_t point = 0;
};
/// Overlong forms, halves of surrogate pairs and what lies past U+10FFFF are not UTF-8.
Utf8Character decode_utf8(std::string_view bytes);
/// Length of the valid UTF-8 sequence that begins `bytes` (1 to 4), or 0 where there is none.
std::size_t utf8_length(std::string_view bytes);
void append_utf8(std::string& text, char32_t point);
/// Every byte that belongs to no character becomes U+FFFD.
std::string valid_utf8(std::string_view bytes);
/// The code points of `text`; U+FFFD for a byte that belongs to no character.
std::u32string code_points(std::string_view text);
std::string to_utf8(std::u32string_view points);

/// A token's bytes as JSON: a string where they are valid UTF-8, else an array of byte values.
Json piece_to_json(const std::string& piece);
/// Errors: JsonError for what is neither.
std::string piece_from_json(const Json& json);

/// Bytes for eyes and for tables, in one line and so that no two look alike: a backslash is doubled; line
/// break and tab are \n and \t; other control characters, and bytes that are not UTF-8, are \xNN; what else
/// would break a line, steer a terminal or turn the direction of writing is \uNNNN.
std::string printable(std::string_view bytes);
/// The same for whole messages: backslashes, and line breaks where `lines`, stay as they are.
std::string without_controls(std::string_view text, bool lines);

/// A field as CSV wants it: quoted where it holds a comma, a quote, a line break or an edge space.
std::string csv_field(const std::string& text);

}  // namespace tomograph
