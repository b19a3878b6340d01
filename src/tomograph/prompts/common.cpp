#include "tomograph/prompts/common.h"

#include <fmt/format.h>

#include <algorithm>

#include "tomograph/base/counted.h"
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
    if (bytes.starts_with("\xff\xfe") || bytes.starts_with("\xfe\xff"))
        throw Error(shown + " is UTF-16", "texts are read as UTF-8", "convert it: iconv -f UTF-16 -t UTF-8");
    if (bytes.find('\0') != std::string_view::npos)
        throw Error(shown + " is not text", "it holds zero bytes", "give a plain text file");
}

namespace {

/// What was read for a decoder beside an encoder is the source, and its own text has only begun.
std::int64_t make_sources(PromptSet& set, std::int32_t target_start) {
    std::int64_t made = 0;
    for (Sequence& sequence : set.sequences) {
        if (!sequence.source.empty()) continue;
        if (!sequence.vectors.empty())
            throw Error("a decoder that reads a source cannot be given vectors alone", "", "");
        const auto labelled = std::ranges::find_if(sequence.labels, [](std::int32_t l) { return l >= 0; });
        const std::int32_t label = labelled == sequence.labels.end() ? -1 : *labelled;
        const bool has_labels = !sequence.labels.empty();
        sequence = {.tokens = {target_start}, .source = std::move(sequence.tokens)};
        if (has_labels) sequence.labels = {label};
        ++made;
    }
    return made;
}

}  // namespace

void describe(PromptSet& set, const Vocabulary& vocabulary, const std::string& kind,
              std::optional<std::int32_t> start) {
    if (const auto target_start = vocabulary.info().target_start) {
        const std::int64_t made = make_sources(set, *target_start);
        if (made > 0)
            set.notes.push_back(fmt::format(
                "{} of {} texts are sources alone: of the target only token {}, which it begins with, is "
                "read; lines with a source and a target (--jsonl) have more",
                made, set.sequences.size(), *target_start));
        set.description["longest_source"] = longest_read(set.sequences);
    }
    Json description = {
        {"kind", kind}, {"sequences", set.sequences.size()}, {"length", longest_length(set.sequences)}};
    description["start_token"] = start ? Json(*start) : Json(nullptr);
    if (vocabulary.info().closing_token) description["closing_token"] = *vocabulary.info().closing_token;
    description.update(set.description);
    set.description = std::move(description);
    const auto& notes = vocabulary.info().notes;
    set.notes.insert(set.notes.begin(), notes.begin(), notes.end());
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

void add_start(Sequence& sequence, std::optional<std::int32_t> start) {
    if (!start || (!sequence.tokens.empty() && sequence.tokens.front() == *start)) return;
    sequence.tokens.insert(sequence.tokens.begin(), *start);
    if (!sequence.labels.empty()) sequence.labels.insert(sequence.labels.begin(), -1);
    for (auto& column : sequence.columns) {
        if (!column.empty()) column.insert(column.begin(), -1);
    }
}

bool cut_to(Sequence& sequence, std::int64_t length) {
    if (sequence.length() <= length) return false;
    sequence.tokens.resize(static_cast<std::size_t>(length));
    if (!sequence.labels.empty()) sequence.labels.resize(static_cast<std::size_t>(length));
    for (auto& column : sequence.columns) {
        if (!column.empty()) column.resize(static_cast<std::size_t>(length));
    }
    return true;
}

bool cut_and_close(Sequence& sequence, std::int64_t length, std::optional<std::int32_t> closing) {
    if (!closing || sequence.tokens.empty()) return cut_to(sequence, length);
    const bool cut = cut_to(sequence, std::max<std::int64_t>(length - 1, 0));
    sequence.tokens.push_back(*closing);
    if (!sequence.labels.empty()) sequence.labels.push_back(-1);
    for (auto& column : sequence.columns) {
        if (!column.empty()) column.push_back(-1);
    }
    return cut;
}

void note_reading(PromptSet& set, std::int64_t spelt, std::int64_t replaced, const Vocabulary& vocabulary) {
    if (spelt > 0)
        set.notes.push_back(
            fmt::format("{} {} of {} in the text {} read as letters; --special parse reads them as tokens",
                        spelt, spelt == 1 ? "special token" : "special tokens", vocabulary.info().model,
                        spelt == 1 ? "was" : "were"));
    if (replaced > 0)
        set.notes.push_back(fmt::format("read {} that {} no UTF-8 as U+FFFD", counted(replaced, "byte"),
                                        replaced == 1 ? "is" : "are"));
}

}  // namespace tomograph
