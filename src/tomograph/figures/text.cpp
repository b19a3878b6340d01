#include "tomograph/figures/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include "tomograph/base/error.h"
#include "tomograph/base/process.h"
#include "tomograph/base/text.h"

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

/// Whether one installed font has all these characters, asked of fontconfig's fc-list; empty when that
/// program is missing.
std::optional<bool> some_font_has(const std::set<char32_t>& points) {
    const auto program = find_program("fc-list");
    if (!program) return std::nullopt;
    std::string charset = ":charset=";
    for (const char32_t point : points) charset += fmt::format("{:x} ", static_cast<std::uint32_t>(point));
    charset.pop_back();
    try {
        const Finished answer = run_program(*program, {charset, "family"});
        return answer.ok() ? std::optional(!answer.out.empty()) : std::nullopt;
    } catch (const Error&) {
        return std::nullopt;  // as where it is missing
    }
}

/// Which characters can be drawn. Answers are kept: fonts do not change while we run.
struct Glyphs {
    std::mutex guard;
    std::map<char32_t, bool> known;
    std::set<char32_t> replaced;  // by a box
};
Glyphs& glyphs() {
    static Glyphs all;
    return all;
}

std::map<char32_t, bool> drawable(const std::set<char32_t>& points) {
    Glyphs& all = glyphs();
    const std::lock_guard lock(all.guard);
    std::set<char32_t> unknown;
    for (const char32_t point : points) {
        if (!all.known.contains(point)) unknown.insert(point);
    }
    if (!unknown.empty()) {
        // Most often one font has them all, and one question is enough.
        const std::optional<bool> one = some_font_has(unknown);
        for (const char32_t point : unknown) {
            // Without an answer, trust that any font has Latin, Greek and Cyrillic letters and common
            // punctuation.
            if (!one)
                all.known[point] = point < 0x530 || (point >= 0x2000 && point < 0x2250);
            else
                all.known[point] = *one || (unknown.size() > 1 && some_font_has({point}).value_or(false));
        }
    }
    return all.known;
}

/// Characters that belong together, and where fonts with them come from, by Debian's names.
struct Script {
    std::vector<std::pair<char32_t, char32_t>> ranges;  // both ends within
    const char* name;
    const char* fonts;
};
const std::vector<Script>& scripts() {
    static const std::vector<Script> all{
        {{{0x1100, 0x11FF},
          {0x2E80, 0x9FFF},
          {0xA960, 0xA97F},
          {0xAC00, 0xD7FF},
          {0xF900, 0xFAFF},
          {0xFE30, 0xFE4F},
          {0xFF00, 0xFFEF},
          {0x20000, 0x3FFFD}},
         "Chinese, Japanese and Korean",
         "fonts-noto-cjk"},
        {{{0x2600, 0x27BF}, {0x1F000, 0x1FAFF}, {0xFE0F, 0xFE0F}, {0x200D, 0x200D}, {0x20E3, 0x20E3}},
         "emoji",
         "fonts-noto-color-emoji"},
        {{{0, 0x10FFFF}}, "other scripts", "fonts-noto-core"},
    };
    return all;
}

}  // namespace

std::string readable(std::string_view bytes) {
    std::string text;
    while (!bytes.empty()) {
        const auto [length, point] = decode_utf8(bytes);
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
    std::set<char32_t> replaced;
    for (const char32_t point : points) {
        if (point < 127 || can_draw.at(point))
            drawn += point;
        else if (point == 0x2212)
            drawn += U'-';
        else if (point == ellipsis)
            drawn += U"...";
        else {
            drawn += stand_in;
            replaced.insert(point);
        }
    }
    if (!replaced.empty()) {
        const std::lock_guard lock(glyphs().guard);
        glyphs().replaced.merge(replaced);
    }
    return to_utf8(drawn);
}

std::string missing_glyphs() {
    const std::lock_guard lock(glyphs().guard);
    std::set<char32_t> left = glyphs().replaced;
    if (left.empty()) return "";
    constexpr std::size_t kShown = 5;
    std::string which, fonts;
    for (const char32_t point : left) {
        if (static_cast<std::size_t>(std::distance(left.begin(), left.find(point))) == kShown) break;
        which += (which.empty() ? "" : " ") + to_utf8(std::u32string(1, point));
    }
    if (left.size() > kShown) which += fmt::format(" and {} more", left.size() - kShown);
    for (const Script& script : scripts()) {
        const std::size_t before = left.size();
        std::erase_if(left, [&](char32_t point) {
            return std::ranges::any_of(script.ranges, [&](const auto& range) {
                return point >= range.first && point <= range.second;
            });
        });
        if (left.size() < before)
            fonts += fmt::format("{}{} (for {})", fonts.empty() ? "" : ", ", script.fonts, script.name);
    }
    return fmt::format("no font here has {}: boxes stand for it in the figures; install {}", which, fonts);
}

}  // namespace tomograph
