#include "tomograph/prompts/common.h"

#include <fmt/format.h>

#include <algorithm>

#include "tomograph/base/error.h"
#include "tomograph/base/text.h"

namespace tomograph {

std::optional<std::int32_t> start_token(const Vocabulary& vocabulary, Start start, const std::string& mend) {
    const VocabularyInfo& info = vocabulary.info();
    switch (start) {
        case Start::no:
            return std::nullopt;
        case Start::model:
            return info.adds_start_token ? info.start_token : std::nullopt;
        case Start::yes:
            if (!info.start_token) throw Error(info.model + " has no start token", "", mend);
            return info.start_token;
    }
    return std::nullopt;
}

std::vector<std::int32_t> tokenize_front(const Vocabulary& vocabulary, std::string_view text,
                                         std::int64_t wanted) {
    // The last tokens before a cut may differ from those of the whole text, so some more are made and
    // dropped.
    constexpr std::int64_t kSpare = 64;
    std::size_t bytes = text.size();
    if (wanted < static_cast<std::int64_t>(text.size()))
        bytes = static_cast<std::size_t>(wanted + kSpare) * 6;
    while (true) {
        const bool all = bytes >= text.size();
        auto tokens = vocabulary.tokenize(text.substr(0, bytes));
        if (all || static_cast<std::int64_t>(tokens.size()) >= wanted + kSpare) {
            tokens.resize(std::min(tokens.size(), static_cast<std::size_t>(wanted)));
            return tokens;
        }
        bytes *= 2;
    }
}

void check_length(const Vocabulary& vocabulary, std::int64_t length) {
    const VocabularyInfo& info = vocabulary.info();
    // Rotary positions have no end, but a sequence this long will not be read in anyone's lifetime.
    constexpr std::int64_t kLongest = 1 << 24;
    const std::int64_t longest = info.bounded ? info.context_length : kLongest;
    if (length <= longest) return;
    throw Error(fmt::format("length {} is above the context of {}", length, info.model),
                info.bounded ? fmt::format("its position table has {} rows", longest)
                             : fmt::format("it was trained on {} tokens", info.context_length),
                fmt::format("use --length {} or less", info.context_length));
}

void check_text(std::string_view bytes, const std::string& shown) {
    if (bytes.find_first_not_of(" \t\r\n") == std::string_view::npos)
        throw Error(shown + " is empty", "", "give a file with text");
    if (bytes.find('\0') != std::string_view::npos)
        throw Error(shown + " is not text", "it holds zero bytes", "give a plain text file");
}

void describe(PromptSet& set, const std::string& kind, std::optional<std::int32_t> start) {
    std::int64_t longest = 0;
    for (const Sequence& sequence : set.sequences) longest = std::max(longest, sequence.length());
    Json description = {{"kind", kind}, {"sequences", set.sequences.size()}, {"length", longest}};
    description["start_token"] = start ? Json(*start) : Json(nullptr);
    description.update(set.description);
    set.description = std::move(description);
    if (!set.notes.empty()) set.description["notes"] = set.notes;
}

std::int32_t single_token(const Vocabulary& vocabulary, const std::string& word) {
    const auto tokens = vocabulary.tokenize(word);
    if (tokens.size() == 1) return tokens.front();
    std::string pieces;
    for (const std::int32_t token : tokens)
        pieces +=
            fmt::format("{}'{}' ({})", pieces.empty() ? "" : ", ", printable(vocabulary.piece(token)), token);
    throw Error(
        fmt::format("'{}' is {} tokens for {}", printable(word), tokens.size(), vocabulary.info().model),
        pieces, "give one of them by --token ID");
}

}  // namespace tomograph
