#include "tomograph/prompts/reading.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <string_view>

#include "tomograph/base/error.h"
#include "tomograph/base/text.h"

namespace tomograph {
namespace {

/// A special token that stands in the text.
struct Spelling {
    std::size_t begin, end;
    std::int32_t token;
};

/// All of them from left to right, the longest where several begin at one place.
std::vector<Spelling> find_spellings(const Vocabulary& vocabulary, const std::string& text) {
    std::vector<Spelling> found;
    const auto& specials = vocabulary.special_tokens();
    std::vector<std::vector<std::size_t>> by_first(256);
    for (std::size_t i = 0; i < specials.size(); ++i) {
        if (!specials[i].spelling.empty())
            by_first[static_cast<unsigned char>(specials[i].spelling.front())].push_back(i);
    }
    for (std::size_t at = 0; at < text.size();) {
        const SpecialToken* longest = nullptr;
        for (const std::size_t i : by_first[static_cast<unsigned char>(text[at])]) {
            const std::string& spelling = specials[i].spelling;
            if ((longest == nullptr || spelling.size() > longest->spelling.size()) &&
                std::string_view(text).substr(at).starts_with(spelling))
                longest = &specials[i];
        }
        if (longest == nullptr) {
            ++at;
            continue;
        }
        found.push_back({at, at + longest->spelling.size(), longest->token});
        at = found.back().end;
    }
    return found;
}

/// Every byte that belongs to no character becomes U+FFFD, and is counted.
std::string counted_utf8(const std::string& text, std::int64_t& replaced) {
    for (std::size_t i = 0; i < text.size();) {
        const std::size_t length = utf8_length(std::string_view(text).substr(i));
        replaced += length == 0;
        i += std::max<std::size_t>(length, 1);
    }
    return valid_utf8(text);
}

char lower(char c) {
    return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
}

bool is_space(char c) {
    return std::isspace(static_cast<unsigned char>(c)) != 0;
}

}  // namespace

Special parse_special(const std::string& text) {
    if (text == "text") return Special::text;
    if (text == "parse") return Special::parse;
    if (text == "refuse") return Special::refuse;
    throw Error(fmt::format("special tokens cannot be read as '{}'", text), "", "use text, parse or refuse");
}

std::vector<std::size_t> token_places(const Vocabulary& vocabulary, std::span<const std::int32_t> tokens,
                                      const std::string& text) {
    std::vector<std::size_t> places;
    places.reserve(tokens.size());
    std::size_t at = 0;
    for (const std::int32_t token : tokens) {
        std::string piece = vocabulary.piece(token);
        if (!std::string_view(text).substr(at).starts_with(piece)) {
            // A space that the vocabulary put there, or spaces of the text that it dropped.
            if (!piece.empty() && piece.front() == ' ' && !(at < text.size() && is_space(text[at])))
                piece.erase(0, 1);
            while (at < text.size() && is_space(text[at]) && (piece.empty() || !is_space(piece.front())))
                ++at;
        }
        places.push_back(std::min(at, text.size()));
        if (std::string_view(text).substr(at).starts_with(piece)) {
            at += piece.size();
            continue;
        }
        // Changed letters: as many characters of the text as the piece has, whatever they are.
        for (std::size_t i = 0; i < piece.size() && at < text.size();) {
            const std::size_t mine = std::max<std::size_t>(1, utf8_length(std::string_view(piece).substr(i)));
            const std::size_t its = std::max<std::size_t>(1, utf8_length(std::string_view(text).substr(at)));
            if (i > 0 && its == 1 && is_space(text[at]) && lower(piece[i]) != text[at]) break;
            i += mine;
            at += its;
        }
    }
    return places;
}

namespace {

/// The front of joined segments.
struct Joined {
    std::string text;
    std::vector<std::size_t> ends;  // of each segment, in the text
    std::int64_t replaced = 0;
    bool whole = true;
};

Joined join(std::span<const Segment> segments, std::size_t most_bytes) {
    Joined joined;
    for (const Segment& segment : segments) {
        const std::size_t room = most_bytes - std::min(most_bytes, joined.text.size());
        if (segment.text.size() <= room) {
            joined.text += counted_utf8(segment.text, joined.replaced);
        } else {
            // A cut inside a character would read its bytes as none.
            std::size_t end = room;
            while (end > 0 && (static_cast<unsigned char>(segment.text[end]) & 0xc0) == 0x80) --end;
            joined.text += counted_utf8(segment.text.substr(0, end), joined.replaced);
            joined.whole = false;
        }
        joined.ends.push_back(joined.text.size());
    }
    return joined;
}

Reading read_joined(const Vocabulary& vocabulary, std::span<const Segment> segments, const Joined& joined) {
    const std::string& text = joined.text;
    const auto segment_at = [&](std::size_t place) {
        const auto end = std::upper_bound(joined.ends.begin(), joined.ends.end(), place);
        return static_cast<std::size_t>(std::min(end - joined.ends.begin(), std::ssize(joined.ends) - 1));
    };
    Reading reading;
    reading.replaced = joined.replaced;
    std::vector<Spelling> parsed;
    for (const Spelling& spelling : find_spellings(vocabulary, text)) {
        switch (segments[segment_at(spelling.begin)].special) {
            case Special::parse:
                parsed.push_back(spelling);
                break;
            case Special::text:
                ++reading.spelt;
                break;
            case Special::refuse:
                throw Error(fmt::format("the text spells the special token {}",
                                        text.substr(spelling.begin, spelling.end - spelling.begin)),
                            fmt::format("at byte {}", spelling.begin),
                            "--special parse reads it as the token, --special text as letters");
        }
    }
    const auto append = [&](std::size_t begin, std::size_t end, bool special) {
        if (begin == end) return;
        const std::string part = text.substr(begin, end - begin);
        const auto tokens = vocabulary.tokenize(part, special);
        const auto places = token_places(vocabulary, tokens, part);
        for (std::size_t i = 0; i < tokens.size(); ++i) {
            reading.tokens.push_back(tokens[i]);
            reading.segment.push_back(static_cast<std::int32_t>(segment_at(begin + places[i])));
        }
    };
    // Where nothing that is spelt is to be letters, the vocabulary itself cuts at its special tokens.
    if (parsed.empty() || reading.spelt == 0) {
        append(0, text.size(), !parsed.empty());
        return reading;
    }
    std::size_t at = 0;
    for (const Spelling& spelling : parsed) {
        append(at, spelling.begin, false);
        reading.tokens.push_back(spelling.token);
        reading.segment.push_back(static_cast<std::int32_t>(segment_at(spelling.begin)));
        at = spelling.end;
    }
    append(at, text.size(), false);
    return reading;
}

}  // namespace

Reading read_segments(const Vocabulary& vocabulary, std::span<const Segment> segments, std::int64_t most) {
    // The last tokens before a cut may differ from those of the whole text, so some more are made and
    // dropped.
    constexpr std::int64_t kSpare = 64;
    constexpr std::int64_t kBytes = 6;  // a token, generously
    std::size_t size = 0;
    for (const Segment& segment : segments) size += segment.text.size();
    std::size_t bytes = size;
    if (most < static_cast<std::int64_t>(size))
        bytes = std::min(size, static_cast<std::size_t>((most + kSpare) * kBytes));
    while (true) {
        const Joined joined = join(segments, bytes);
        Reading reading = read_joined(vocabulary, segments, joined);
        const auto n = static_cast<std::int64_t>(reading.tokens.size());
        if (joined.whole || n >= most + kSpare) {
            if (n > most) {
                reading.tokens.resize(static_cast<std::size_t>(most));
                reading.segment.resize(static_cast<std::size_t>(most));
            }
            return reading;
        }
        bytes *= 2;
    }
}

}  // namespace tomograph
