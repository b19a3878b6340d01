#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <initializer_list>
#include <string_view>

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

/// A key that nobody reads is more likely a slip than meant. Errors: JsonError.
void check_keys(const Json& json, const char* what, std::initializer_list<std::string_view> known) {
    if (!json.is_object()) throw JsonError(fmt::format("{} is no object", what));
    for (const auto& [key, value] : json.items()) {
        if (std::find(known.begin(), known.end(), key) == known.end())
            throw JsonError(fmt::format("'{}' is no key of {}", key, what));
    }
}

const std::string& string_at(const Json& json, const char* what, const char* key) {
    const auto found = json.find(key);
    if (found == json.end()) throw JsonError(fmt::format("{} has no '{}'", what, key));
    if (!found->is_string()) throw JsonError(fmt::format("'{}' is no text", key));
    return found->get_ref<const std::string&>();
}

/// The first `most` tokens of a line, or all. Errors: JsonError.
Sequence read_line(const Vocabulary& vocabulary, PromptSet& set, const Json& json, std::int64_t most) {
    Sequence sequence;
    const auto append = [&](const std::string& text, std::int32_t label) {
        const auto tokens = tokenize_front(vocabulary, text, most - sequence.length());
        sequence.tokens.insert(sequence.tokens.end(), tokens.begin(), tokens.end());
        sequence.labels.resize(sequence.tokens.size(), label);
    };
    check_keys(json, "a line", {"text", "segments"});
    if (json.size() == 2) throw JsonError("it has both 'text' and 'segments'");
    const auto segments = json.find("segments");
    if (segments == json.end()) {
        append(string_at(json, "it", "text"), -1);
        return sequence;
    }
    if (!segments->is_array()) throw JsonError("'segments' is no list");
    for (const Json& segment : *segments) {
        check_keys(segment, "a segment", {"label", "text"});
        const std::string& text = string_at(segment, "a segment", "text");
        append(text, label_index(set, string_at(segment, "a segment", "label")));
    }
    return sequence;
}

}  // namespace

PromptSet jsonl_prompts(const Vocabulary& vocabulary, const JsonlOptions& options) {
    std::ifstream in(options.file, std::ios::binary);
    if (!in) throw Error("cannot read " + options.file.string(), "no such file, or no permission", "");
    const auto start = start_token(vocabulary, options.start);
    PromptSet set;
    check_length(vocabulary, options.length);
    std::int64_t number = 0, cut = 0;
    for (std::string line; std::getline(in, line);) {
        ++number;
        const auto where = fmt::format("line {} of {}", number, options.file.string());
        if (options.sequences > 0 && static_cast<std::int64_t>(set.sequences.size()) == options.sequences)
            break;
        Sequence sequence;
        try {
            sequence = read_line(vocabulary, set, parse_json(line), options.length + 1);
        } catch (const JsonError& e) {
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
