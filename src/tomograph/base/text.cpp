#include "tomograph/base/text.h"

#include <fmt/format.h>

namespace tomograph {

std::size_t utf8_length(std::string_view bytes) {
    if (bytes.empty()) return 0;
    const auto at = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
    const unsigned char lead = at(0);
    const std::size_t length = lead < 0x80                   ? 1
                               : lead >= 0xc2 && lead < 0xe0 ? 2
                               : lead >= 0xe0 && lead < 0xf0 ? 3
                               : lead >= 0xf0 && lead < 0xf5 ? 4
                                                             : 0;
    if (length == 0 || length > bytes.size()) return 0;
    for (std::size_t i = 1; i < length; ++i) {
        if ((at(i) & 0xc0) != 0x80) return 0;
    }
    // Overlong forms, surrogates and values above U+10FFFF.
    if ((lead == 0xe0 && at(1) < 0xa0) || (lead == 0xed && at(1) > 0x9f) || (lead == 0xf0 && at(1) < 0x90) ||
        (lead == 0xf4 && at(1) > 0x8f))
        return 0;
    return length;
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

std::string printable(const std::string& piece) {
    std::string shown;
    for (std::size_t i = 0; i < piece.size();) {
        const std::size_t length = utf8_length(std::string_view(piece).substr(i));
        const auto byte = static_cast<unsigned char>(piece[i]);
        // U+0080 to U+009F steer a terminal just as the bytes below a space do.
        const bool steers = length == 2 && byte == 0xc2 && static_cast<unsigned char>(piece[i + 1]) < 0xa0;
        if (length == 0 || steers || byte < 0x20 || byte == 0x7f) {
            if (byte == '\n')
                shown += "\\n";
            else if (byte == '\t')
                shown += "\\t";
            else
                shown += fmt::format("\\x{:02x}", byte);
            ++i;
        } else {
            shown.append(piece, i, length);
            i += length;
        }
    }
    return shown;
}

}  // namespace tomograph
