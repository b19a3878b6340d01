#include "tomograph/base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

namespace tomograph {

namespace {

constexpr char32_t kReplacement = 0xfffd;

/// Characters above ASCII that break a line for some reader (U+0085, U+2028, U+2029), steer a terminal
/// (U+0080 to U+009F) or turn the direction of what follows.
bool steers(char32_t point) {
    return (point >= 0x80 && point <= 0x9f) || (point >= 0x2028 && point <= 0x202e) ||
           (point >= 0x2066 && point <= 0x2069);
}

struct Escapes {
    bool lines;      // line breaks too
    bool backslash;  // and the sign of an escape itself
};

std::string escaped(std::string_view bytes, Escapes escapes) {
    std::string shown;
    shown.reserve(bytes.size());
    while (!bytes.empty()) {
        const auto [length, point] = decode_utf8(bytes);
        if (point == '\n')
            shown += escapes.lines ? "\\n" : "\n";
        else if (point == '\t')
            shown += "\\t";
        else if (point == '\\' && escapes.backslash)
            shown += "\\\\";
        else if (length == 0 || point < 0x20 || point == 0x7f)
            shown += fmt::format("\\x{:02x}", static_cast<unsigned char>(bytes.front()));
        else if (steers(point))
            shown += fmt::format("\\u{:04x}", static_cast<std::uint32_t>(point));
        else
            shown += bytes.substr(0, length);
        bytes.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return shown;
}

}  // namespace

Utf8Character decode_utf8(std::string_view bytes) {
    if (bytes.empty()) return {};
    const auto at = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
    const unsigned char lead = at(0);
    if (lead < 0x80) return {1, lead};
    const std::size_t length = lead >= 0xc2 && lead < 0xe0   ? 2
                               : lead >= 0xe0 && lead < 0xf0 ? 3
                               : lead >= 0xf0 && lead < 0xf5 ? 4
                                                             : 0;
    if (length == 0 || length > bytes.size()) return {};
    char32_t point = lead & (0x7fu >> length);
    for (std::size_t i = 1; i < length; ++i) {
        if ((at(i) & 0xc0) != 0x80) return {};
        point = point << 6 | (at(i) & 0x3f);
    }
    const char32_t smallest = length == 2 ? 0x80 : length == 3 ? 0x800 : 0x10000;
    if (point < smallest || (point >= 0xd800 && point <= 0xdfff) || point > 0x10ffff) return {};
    return {length, point};
}

std::size_t utf8_length(std::string_view bytes) {
    return decode_utf8(bytes).length;
}

void append_utf8(std::string& text, char32_t point) {
    const auto put = [&](char32_t byte) { text += static_cast<char>(static_cast<unsigned char>(byte)); };
    if (point < 0x80) return put(point);
    if (point < 0x800) {
        put(0xc0 | point >> 6);
    } else {
        if (point < 0x10000) {
            put(0xe0 | point >> 12);
        } else {
            put(0xf0 | point >> 18);
            put(0x80 | (point >> 12 & 0x3f));
        }
        put(0x80 | (point >> 6 & 0x3f));
    }
    put(0x80 | (point & 0x3f));
}

std::u32string code_points(std::string_view text) {
    std::u32string points;
    while (!text.empty()) {
        const auto [length, point] = decode_utf8(text);
        points += length == 0 ? kReplacement : point;
        text.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return points;
}

std::string to_utf8(std::u32string_view points) {
    std::string text;
    for (const char32_t point : points) append_utf8(text, point);
    return text;
}

std::string valid_utf8(std::string_view bytes) {
    std::string valid;
    valid.reserve(bytes.size());
    while (!bytes.empty()) {
        const std::size_t length = utf8_length(bytes);
        if (length > 0)
            valid += bytes.substr(0, length);
        else
            append_utf8(valid, kReplacement);
        bytes.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return valid;
}

Json piece_to_json(const std::string& piece) {
    for (std::size_t i = 0; i < piece.size();) {
        const std::size_t length = utf8_length(std::string_view(piece).substr(i));
        if (length == 0) {
            Json bytes = Json::array();
            for (const char byte : piece) bytes.push_back(static_cast<unsigned char>(byte));
            return bytes;
        }
        i += length;
    }
    return piece;
}

std::string piece_from_json(const Json& json) {
    if (json.is_string()) return json.get<std::string>();
    if (!json.is_array()) throw JsonError("a piece is neither text nor a list of bytes");
    std::string piece;
    for (const Json& byte : json) {
        if (!byte.is_number_unsigned() || byte.get<std::uint64_t>() > 255)
            throw JsonError("a piece holds " + json_text(byte) + ", which is no byte");
        piece += static_cast<char>(byte.get<std::uint64_t>());
    }
    return piece;
}

std::string printable(std::string_view bytes) {
    return escaped(bytes, {.lines = true, .backslash = true});
}

std::string without_controls(std::string_view text, bool lines) {
    return escaped(text, {.lines = !lines, .backslash = false});
}

std::string csv_field(const std::string& text) {
    const bool plain = text.empty() || (text.find_first_of(",\"\r\n") == std::string::npos &&
                                        text.front() != ' ' && text.back() != ' ');
    if (plain) return text;
    std::string quoted = "\"";
    for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
    return quoted + '"';
}

}  // namespace tomograph
