#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <iterator>
#include <span>

#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
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

}  // namespace

PromptSet text_prompts(const Vocabulary& vocabulary, const TextOptions& options) {
    if (options.sequences < 1) throw Error("no sequences were asked for", "", "use --sequences 1 or more");
    check_length(vocabulary, options.length);
    const auto start = start_token(vocabulary, options.start);
    const std::int64_t body = options.length - (start ? 1 : 0);
    if (body < 1)
        throw Error(fmt::format("length {} leaves no room for text", options.length),
                    "the start token takes one place", "use a longer --length");
    PromptSet set;
    const auto sources = read_sources(options.files);
    Json names = Json::array();
    const auto add = [&](std::span<const std::int32_t> tokens, std::size_t source) {
        Sequence sequence;
        if (start) sequence.tokens.push_back(*start);
        sequence.tokens.insert(sequence.tokens.end(), tokens.begin(), tokens.end());
        if (sources.size() > 1)
            sequence.labels.assign(sequence.tokens.size(), static_cast<std::int32_t>(source));
        set.sequences.push_back(std::move(sequence));
    };
    std::vector<std::vector<std::int32_t>> tokens;
    std::int64_t spelt = 0, replaced = 0;
    for (const Source& source : sources) {
        names.push_back(source.name);
        if (sources.size() > 1) set.labels.push_back(source.name);
        // No text gives more sequences than this, however many are asked for: a byte is at most the three of
        // U+FFFD.
        const auto most = 3 * static_cast<std::int64_t>(source.text.size()) / body + 1;
        const Segment segment{source.text, options.special};
        Reading reading = read_segments(vocabulary, {&segment, 1}, std::min(options.sequences, most) * body);
        spelt += reading.spelt;
        replaced += reading.replaced;
        tokens.push_back(std::move(reading.tokens));
    }
    // The files take turns, so that each is there when fewer sequences are asked for than there are.
    for (std::int64_t turn = 0, added = 1; added > 0; ++turn) {
        added = 0;
        for (std::size_t i = 0; i < tokens.size(); ++i) {
            if (static_cast<std::int64_t>(tokens[i].size()) < (turn + 1) * body) continue;
            if (static_cast<std::int64_t>(set.sequences.size()) == options.sequences) break;
            add(std::span(tokens[i]).subspan(static_cast<std::size_t>(turn * body),
                                             static_cast<std::size_t>(body)),
                i);
            ++added;
        }
    }
    if (set.sequences.empty()) {
        for (std::size_t i = 0;
             i < tokens.size() && static_cast<std::int64_t>(set.sequences.size()) < options.sequences; ++i)
            add(tokens[i], i);
        set.notes.push_back(fmt::format(
            "the text is shorter than one sequence of {} tokens: it is used whole", options.length));
    } else if (static_cast<std::int64_t>(set.sequences.size()) < options.sequences) {
        set.notes.push_back(fmt::format("{} sequences of {} tokens instead of {}: the text has no more",
                                        set.sequences.size(), options.length, options.sequences));
    }
    note_reading(set, spelt, replaced, vocabulary);
    set.description = {{"sources", names}, {"asked", options.sequences}};
    describe(set, vocabulary, "text", start);
    return set;
}

}  // namespace tomograph
