#include "tomograph/figures/text.h"

#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <map>
#include <mutex>
#include <optional>
#include <set>

namespace tomograph {
namespace {

/// Advance widths of DejaVu Sans in thousandths of the font size, for the characters 32 to 126.
constexpr std::array<short, 95> ascii_widths{
    318, 401, 460, 838, 636, 950, 780, 275, 390, 390, 500, 838, 318, 361,  318, 337, 636, 636, 636,
    636, 636, 636, 636, 636, 636, 636, 337, 337, 838, 838, 838, 531, 1000, 684, 686, 698, 770, 632,
    575, 775, 752, 295, 295, 656, 557, 863, 748, 787, 603, 787, 695, 635,  611, 732, 684, 989, 685,
    611, 685, 390, 337, 390, 838, 500, 500, 613, 635, 550, 635, 615, 352,  635, 634, 278, 278, 579,
    278, 974, 634, 612, 635, 635, 411, 521, 392, 634, 592, 818, 592, 592,  525, 636, 337, 636, 838};

constexpr char32_t replacement = 0xFFFD;
constexpr char32_t box = 0x25A1;
constexpr char32_t ellipsis = 0x2026;

double character_width(char32_t point) {
    if (point >= 32 && point < 127) return ascii_widths[point - 32] / 1000.0;
    if (point >= 0x2070 && point <= 0x209C) return 0.42;  // superscripts and subscripts
    if (point >= 0x0300 && point <= 0x036F) return 0.0;   // combining marks
    if (point < 0x0250) return 0.66;
    if (point < 0x1100) return 0.75;
    return 1.03;  // Chinese, Japanese, Korean, symbols, emoji
}

/// Length of the valid UTF-8 character at the front and its code point; length 0 when there is none.
struct Decoded {
    std::size_t length = 0;
    char32_t point = 0;
};

Decoded decode(std::string_view bytes) {
    const auto at = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
    const unsigned char first = at(0);
    if (first < 0x80) return {1, first};
    std::size_t length = 0;
    char32_t point = 0;
    char32_t smallest = 0;
    if ((first & 0xE0) == 0xC0)
        length = 2, point = first & 0x1F, smallest = 0x80;
    else if ((first & 0xF0) == 0xE0)
        length = 3, point = first & 0x0F, smallest = 0x800;
    else if ((first & 0xF8) == 0xF0)
        length = 4, point = first & 0x07, smallest = 0x10000;
    if (length == 0 || bytes.size() < length) return {};
    for (std::size_t i = 1; i < length; ++i) {
        if ((at(i) & 0xC0) != 0x80) return {};
        point = (point << 6) | (at(i) & 0x3F);
    }
    // Overlong forms, halves of surrogate pairs and what lies past Unicode's end are not UTF-8.
    if (point < smallest || (point >= 0xD800 && point <= 0xDFFF) || point > 0x10FFFF) return {};
    return {length, point};
}

void append_utf8(std::string& text, char32_t point) {
    const auto put = [&](char32_t byte) { text += static_cast<char>(static_cast<unsigned char>(byte)); };
    if (point < 0x80) {
        put(point);
    } else if (point < 0x800) {
        put(0xC0 | (point >> 6)), put(0x80 | (point & 0x3F));
    } else if (point < 0x10000) {
        put(0xE0 | (point >> 12)), put(0x80 | ((point >> 6) & 0x3F)), put(0x80 | (point & 0x3F));
    } else {
        put(0xF0 | (point >> 18)), put(0x80 | ((point >> 12) & 0x3F));
        put(0x80 | ((point >> 6) & 0x3F)), put(0x80 | (point & 0x3F));
    }
}

/// Whether one installed font has all these characters, asked of fontconfig's fc-list; empty when that
/// program is missing.
std::optional<bool> some_font_has(const std::set<char32_t>& points) {
    std::string command = "fc-list ':charset=";
    for (const char32_t point : points) command += fmt::format("{:x} ", static_cast<std::uint32_t>(point));
    command.back() = '\'';
    command += " family 2>/dev/null";
    std::FILE* answer = ::popen(command.c_str(), "r");
    if (answer == nullptr) return std::nullopt;
    const bool found = std::fgetc(answer) != EOF;
    // The rest is read, so that fc-list does not die of a closed pipe and look like a failure.
    while (std::fgetc(answer) != EOF) {
    }
    if (::pclose(answer) != 0) return std::nullopt;
    return found;
}

/// Whether each of these characters can be drawn. Answers are kept: fonts do not change while we run.
std::map<char32_t, bool> drawable(const std::set<char32_t>& points) {
    static std::mutex guard;
    static std::map<char32_t, bool> known;
    const std::lock_guard lock(guard);
    std::set<char32_t> unknown;
    for (const char32_t point : points) {
        if (known.find(point) == known.end()) unknown.insert(point);
    }
    if (!unknown.empty()) {
        // Most often one font has them all, and one question is enough.
        const std::optional<bool> all = some_font_has(unknown);
        for (const char32_t point : unknown) {
            // Without an answer, trust that any font has Latin, Greek and Cyrillic letters and common
            // punctuation.
            if (!all)
                known[point] = point < 0x530 || (point >= 0x2000 && point < 0x2250);
            else
                known[point] = *all || (unknown.size() > 1 && some_font_has({point}).value_or(false));
        }
    }
    return known;
}

}  // namespace

std::string readable(std::string_view bytes) {
    std::string text;
    while (!bytes.empty()) {
        const auto [length, point] = decode(bytes);
        if (length == 0) {
            append_utf8(text, replacement);
            bytes.remove_prefix(1);
            continue;
        }
        if (point == '\n')
            text += "\\n";
        else if (point == '\t')
            text += "\\t";
        else if (point == '\r')
            text += "\\r";
        else if (point < 32 || (point >= 0x7F && point < 0xA0))
            text += fmt::format("\\x{:02x}", static_cast<unsigned>(point));
        else if (point == 0x2028 || point == 0x2029)
            text += "\\n";  // Pango breaks lines at these two
        else if ((point & 0xFFFE) == 0xFFFE)
            append_utf8(text, replacement);  // never a character, and not allowed in XML
        else
            text += bytes.substr(0, length);
        bytes.remove_prefix(length);
    }
    return text;
}

std::u32string code_points(std::string_view text) {
    std::u32string points;
    while (!text.empty()) {
        const auto [length, point] = decode(text);
        points += length == 0 ? replacement : point;
        text.remove_prefix(length == 0 ? 1 : length);
    }
    return points;
}

std::string to_utf8(std::u32string_view points) {
    std::string text;
    for (const char32_t point : points) append_utf8(text, point);
    return text;
}

double text_width(std::string_view text, double font_size, bool bold) {
    double width = 0.0;
    for (const char32_t point : code_points(text)) width += character_width(point);
    return width * font_size * (bold ? 1.12 : 1.0);
}

std::string shortened(std::string_view text, double font_size, double width, bool bold) {
    if (text_width(text, font_size, bold) <= width) return std::string(text);
    std::u32string points = code_points(text);
    while (!points.empty()) {
        points.pop_back();
        const std::string candidate = to_utf8(points + ellipsis);
        if (text_width(candidate, font_size, bold) <= width) return candidate;
    }
    return {};
}

std::vector<std::string> wrapped(std::string_view text, double font_size, double width, int max_lines,
                                 bool bold) {
    std::vector<std::string> lines;
    std::u32string rest = code_points(text);
    while (!rest.empty()) {
        if (static_cast<int>(lines.size()) + 1 >= max_lines) {
            lines.push_back(shortened(to_utf8(rest), font_size, width, bold));
            break;
        }
        std::size_t fitting = 0;
        std::size_t last_space = std::u32string::npos;
        while (fitting < rest.size() && text_width(to_utf8(std::u32string_view(rest).substr(0, fitting + 1)),
                                                   font_size, bold) <= width) {
            if (rest[fitting] == U' ') last_space = fitting;
            ++fitting;
        }
        if (fitting < rest.size() && rest[fitting] == U' ') last_space = fitting;
        if (fitting == 0) fitting = 1;  // a page narrower than a letter: go on all the same
        if (fitting >= rest.size()) {
            lines.push_back(to_utf8(rest));
            break;
        }
        const std::size_t cut = last_space != std::u32string::npos && last_space > 0 ? last_space : fitting;
        lines.push_back(to_utf8(std::u32string_view(rest).substr(0, cut)));
        rest.erase(0, cut);
        while (!rest.empty() && rest.front() == U' ') rest.erase(0, 1);
    }
    return lines;
}

std::string with_glyphs(std::string_view text) {
    std::u32string points = code_points(text);
    std::set<char32_t> beyond_ascii;
    for (const char32_t point : points) {
        if (point >= 127) beyond_ascii.insert(point);
    }
    if (beyond_ascii.empty()) return std::string(text);
    beyond_ascii.insert(box);
    const std::map<char32_t, bool> can_draw = drawable(beyond_ascii);
    const char32_t stand_in = can_draw.at(box) ? box : U'?';
    std::u32string drawn;
    for (const char32_t point : points) {
        if (point < 127 || can_draw.at(point))
            drawn += point;
        else if (point == 0x2212)
            drawn += U'-';
        else if (point == ellipsis)
            drawn += U"...";
        else
            drawn += stand_in;
    }
    return to_utf8(drawn);
}

}  // namespace tomograph
