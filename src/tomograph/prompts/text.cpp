#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <iterator>
#include <limits>
#include <span>

#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/prompts/columns.h"
#include "tomograph/prompts/common.h"

namespace tomograph {

std::span<const unsigned char> tomograph_prompts_file(std::string_view name);

namespace {

struct Source {
    std::string name;
    std::string text;
};

std::vector<Source> read_sources(const std::vector<std::filesystem::path>& files) {
    std::vector<Source> sources;
    if (files.empty()) {
        const auto chapter = tomograph_prompts_file("moby-dick-chapter.txt");
        sources.push_back({"Moby-Dick, chapter 42 (built in)", std::string(chapter.begin(), chapter.end())});
    }
    for (const auto& file : files) {
        if (file == "-") {
            sources.push_back({"standard input", {std::istreambuf_iterator<char>(std::cin), {}}});
        } else {
            sources.push_back({file.filename().string(), read_file(file)});
        }
        check_text(sources.back().text,
                   sources.back().name == "standard input" ? "standard input" : file.string());
        if (sources.back().text.starts_with("\xef\xbb\xbf")) sources.back().text.erase(0, 3);
    }
    return sources;
}

/// Column `overlap` of a sequence whose first `again` tokens of text an earlier one has too; `front` tokens
/// stand before the text.
void mark_overlap(PromptSet& set, Sequence& sequence, std::int64_t front, std::int64_t again) {
    const std::size_t column = column_index(set, kOverlapColumn);
    set.columns[column].words = {"new", "again"};
    for (std::int64_t t = front; t < sequence.length(); ++t)
        set_entry(sequence, column, static_cast<std::size_t>(t), t < front + again ? 1 : 0);
}

}  // namespace

PromptSet text_prompts(const Vocabulary& vocabulary, const TextOptions& options) {
    if (options.sequences < 1) throw Error("no sequences were asked for", "", "use --sequences 1 or more");
    check_length(vocabulary, options.length);
    const auto start = start_token(vocabulary, options.start);
    const auto closing = vocabulary.info().closing_token;
    const std::int64_t body = options.length - (start ? 1 : 0) - (closing ? 1 : 0);
    if (body < 1)
        throw Error(fmt::format("length {} leaves no room for text", options.length),
                    closing ? "start and closing token take a place each" : "the start token takes one place",
                    "use a longer --length");
    if (options.stride < 0) throw Error("a stride below 0 leads nowhere", "", "use --stride 1 or more");
    const std::int64_t stride = options.stride > 0 ? options.stride : body;
    PromptSet set;
    const auto sources = read_sources(options.files);
    Json names = Json::array();
    const std::int64_t again = std::max<std::int64_t>(0, body - stride);
    const auto add = [&](std::span<const std::int32_t> tokens, std::size_t source, std::int64_t turn) {
        Sequence sequence;
        sequence.tokens.assign(tokens.begin(), tokens.end());
        if (start) sequence.tokens.insert(sequence.tokens.begin(), *start);
        if (closing) sequence.tokens.push_back(*closing);
        if (sources.size() > 1)
            sequence.labels.assign(sequence.tokens.size(), static_cast<std::int32_t>(source));
        if (again > 0) mark_overlap(set, sequence, start ? 1 : 0, turn > 0 ? again : 0);
        set.sequences.push_back(std::move(sequence));
    };
    std::vector<std::vector<std::int32_t>> tokens;
    std::int64_t spelt = 0, replaced = 0;
    for (const Source& source : sources) {
        names.push_back(source.name);
        if (sources.size() > 1) set.labels.push_back(source.name);
        // No text gives more sequences than this, however many are asked for: a byte is at most the three of
        // U+FFFD.
        const auto most = 3 * static_cast<std::int64_t>(source.text.size()) / stride + 1;
        const Segment segment{source.text, options.special};
        Reading reading =
            read_segments(vocabulary, {&segment, 1}, (std::min(options.sequences, most) - 1) * stride + body);
        spelt += reading.spelt;
        replaced += reading.replaced;
        tokens.push_back(std::move(reading.tokens));
    }
    // The files take turns, so that each is there when fewer sequences are asked for than there are.
    for (std::int64_t turn = 0, added = 1; added > 0; ++turn) {
        added = 0;
        for (std::size_t i = 0; i < tokens.size(); ++i) {
            if (static_cast<std::int64_t>(tokens[i].size()) < turn * stride + body) continue;
            if (static_cast<std::int64_t>(set.sequences.size()) == options.sequences) break;
            add(std::span(tokens[i]).subspan(static_cast<std::size_t>(turn * stride),
                                             static_cast<std::size_t>(body)),
                i, turn);
            ++added;
        }
    }
    if (set.sequences.empty()) {
        for (std::size_t i = 0;
             i < tokens.size() && static_cast<std::int64_t>(set.sequences.size()) < options.sequences; ++i)
            add(tokens[i], i, 0);
        set.notes.push_back(fmt::format(
            "the text is shorter than one sequence of {} tokens: it is used whole", options.length));
    } else if (static_cast<std::int64_t>(set.sequences.size()) < options.sequences) {
        set.notes.push_back(fmt::format("{} sequences of {} tokens instead of {}: the text has no more",
                                        set.sequences.size(), options.length, options.sequences));
    }
    note_reading(set, spelt, replaced, vocabulary);
    set.description = {{"sources", names}, {"asked", options.sequences}};
    if (options.stride > 0) set.description["stride"] = options.stride;
    describe(set, vocabulary, "text", start);
    return set;
}

PromptSet document_prompts(const Vocabulary& vocabulary, const DocumentOptions& options) {
    const auto sources = read_sources(options.files);
    Json names = Json::array();
    GivenOptions given{.length = options.length, .start = options.start, .special = options.special};
    const auto most = options.sequences > 0 ? static_cast<std::size_t>(options.sequences)
                                            : std::numeric_limits<std::size_t>::max();
    for (const Source& source : sources) {
        names.push_back(source.name);
        const auto add = [&](std::string text) {
            if (given.prompts.size() == most || text.find_first_not_of(" \t\r\n") == std::string::npos)
                return;
            given.prompts.push_back(std::move(text));
            if (sources.size() > 1) given.labels.push_back(source.name);
        };
        if (!options.lines) {
            add(source.text);
            continue;
        }
        for (std::size_t begin = 0; begin < source.text.size();) {
            std::size_t end = source.text.find('\n', begin);
            if (end == std::string::npos) end = source.text.size();
            std::string line = source.text.substr(begin, end - begin);
            if (line.ends_with('\r')) line.pop_back();
            add(std::move(line));
            begin = end + 1;
        }
    }
    given.kind = "text";
    given.source = std::move(names);
    PromptSet set = given_prompts(vocabulary, given);
    set.description["documents"] = options.lines ? "line" : "file";
    return set;
}

}  // namespace tomograph
