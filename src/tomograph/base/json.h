#pragma once
#include <concepts>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

namespace tomograph {

/// Keys keep the order in which they were written: files read as they were meant.
using Json = nlohmann::ordered_json;

/// How deep lists and objects may stand in each other. Copying, printing and comparing JSON recurses, so the
/// bound is what keeps a hostile file from exhausting the stack; no file of ours is a tenth as deep.
inline constexpr int kJsonDepth = 64;

/// Why a text is no JSON that is read here. One handler for Json::exception takes this and a missing key
/// alike.
class JsonError : public Json::exception {
  public:
    explicit JsonError(const std::string& why) : exception(0, why.c_str()) {}
};

/// The only way in which JSON is read: a whole text, UTF-8 with or without a byte-order mark. Time and memory
/// grow with the text alone.
/// Errors: JsonError with line and column for what is no JSON, is deeper than kJsonDepth, names a key twice
/// in one object or holds a number that no double holds.
Json parse_json(std::string_view text);

/// `value` as a whole number that `Number` holds; `what` names it in the message. The library cuts a
/// fraction, takes a sign away and wraps or leaves undefined what does not fit, all in silence. Errors:
/// JsonError.
template <std::integral Number>
Number whole_number(const Json& value, const std::string& what) {
    if (value.is_number_unsigned()) {
        if (const auto number = value.get<std::uint64_t>(); std::in_range<Number>(number))
            return static_cast<Number>(number);
    } else if (value.is_number_integer()) {
        if (const auto number = value.get<std::int64_t>(); std::in_range<Number>(number))
            return static_cast<Number>(number);
    }
    throw JsonError(what + " must be a whole number" + (value.is_number() ? " that fits" : ""));
}

/// The same under a key of an object; `absent` where the key is.
template <std::integral Number>
Number whole_number(const Json& object, const char* key, Number absent) {
    const auto found = object.find(key);
    return found == object.end() ? absent : whole_number<Number>(*found, key);
}

/// Errors: Error when the file is missing, is no regular file or is not JSON, with its path.
Json read_json(const std::filesystem::path& path);

/// JSON as text that never fails: bytes that are not UTF-8 are replaced. `indent` -1: on one line.
std::string json_text(const Json& json, int indent = -1);

/// Appears under its final name complete or not at all. Bytes that are not UTF-8 are replaced.
void write_json(const std::filesystem::path& path, const Json& json);

}  // namespace tomograph
