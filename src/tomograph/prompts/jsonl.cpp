#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "tomograph/base/error.h"
#include "tomograph/prompts/common.h"

namespace tomograph {
namespace {

/// Index of `label` among the set's labels, added when new.
std::int32_t label_index(PromptSet& set, const std::string& label) {
    const auto found = std::find(set.labels.begin(), set.labels.end(), label);
    if (found == set.labels.end()) {
        set.labels.push_back(label);
        return static_cast<std::int32_t>(set.labels.size() - 1);
    }
    return static_cast<std::int32_t>(found - set.labels.begin());
}

Sequence read_line(const Vocabulary& vocabulary, PromptSet& set, const Json& json) {
    Sequence sequence;
    const auto append = [&](const std::string& text, std::int32_t label) {
        const auto tokens = vocabulary.tokenize(text);
        sequence.tokens.insert(sequence.tokens.end(), tokens.begin(), tokens.end());
        sequence.labels.resize(sequence.tokens.size(), label);
    };
    if (json.contains("segments")) {
        for (const Json& segment : json.at("segments")) {
            append(segment.at("text").get<std::string>(),
                   label_index(set, segment.at("label").get<std::string>()));
        }
    } else {
        append(json.at("text").get<std::string>(), -1);
    }
    return sequence;
}

}  // namespace

PromptSet jsonl_prompts(const Vocabulary& vocabulary, const JsonlOptions& options) {
    std::ifstream in(options.file, std::ios::binary);
    if (!in) throw Error("cannot read " + options.file.string(), "no such file, or no permission", "");
    const auto start = start_token(vocabulary, options.start);
    PromptSet set;
    std::int64_t number = 0, cut = 0;
    for (std::string line; std::getline(in, line);) {
        ++number;
        const auto where = fmt::format("line {} of {}", number, options.file.string());
        if (options.sequences > 0 && static_cast<std::int64_t>(set.sequences.size()) == options.sequences)
            break;
        Sequence sequence;
        try {
            sequence = read_line(vocabulary, set, Json::parse(line));
        } catch (const nlohmann::json::exception& e) {
            throw Error(where + " cannot be used", e.what(),
                        R"(a line is {"text": "..."} or {"segments": [{"label": "...", "text": "..."}]})");
        }
        if (sequence.tokens.empty())
            throw Error(where + " has no text", "", "a line's index is its sequence, so none may be empty");
        if (start) {
            sequence.tokens.insert(sequence.tokens.begin(), *start);
            sequence.labels.insert(sequence.labels.begin(), -1);
        }
        if (sequence.length() > options.length) {
            sequence.tokens.resize(static_cast<std::size_t>(options.length));
            sequence.labels.resize(static_cast<std::size_t>(options.length));
            ++cut;
        }
        set.sequences.push_back(std::move(sequence));
    }
    if (set.sequences.empty())
        throw Error(options.file.string() + " is empty", "", "give a file with one JSON object a line");
    if (cut > 0)
        set.notes.push_back(
            fmt::format("{} of {} lines were cut to {} tokens", cut, set.sequences.size(), options.length));
    set.description = {{"sources", {options.file.filename().string()}}};
    describe(set, "jsonl", start);
    return set;
}

}  // namespace tomograph
