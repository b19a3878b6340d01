#include "tomograph/model/vocabulary_notes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <regex>

#include "tomograph/base/text.h"

namespace tomograph {
namespace {

/// A warning of llama.cpp, by a pattern that fits its line.
struct Known {
    const char* pattern;
    /// For one such line and for several, {} being what the pattern's group holds; null: nothing is read
    /// otherwise by it.
    const char* one;
    const char* several;
};

constexpr Known kKnown[] = {
    {"missing pre-tokenizer type",
     "the model's file does not say how text is split before it is cut into tokens (tokenizer.ggml.pre): "
     "llama.cpp's default rule is used, and tokens may differ from the model's own; convert the model again",
     nullptr},
    {"control-looking token: +-?[0-9]+ ('.*') was not control-type",
     "llama.cpp takes {} for a control token by its spelling; the model's file does not",
     "llama.cpp takes {} for control tokens by their spelling; the model's file does not"},
    {"setting token ('.*') \\(.*USER_DEFINED",
     "llama.cpp reads {} as a token wherever it is spelt, whatever the model's file says of it",
     "llama.cpp reads {} as tokens wherever they are spelt, whatever the model's file says of them"},
    {"bad special token: ('.*' = -?[0-9]+, using default id -?[0-9]+)",
     "the model's file names a special token outside its vocabulary: {}",
     "the model's file names special tokens outside its vocabulary: {}"},
    {"empty token at index ([0-9]+)", "token {} has no spelling in the model's file",
     "tokens {} have no spelling in the model's file"},
    {"override '(.*)' to 'true'",
     "sequences begin with a start token, although the model's file says otherwise ({}): llama.cpp does so "
     "for this family",
     nullptr},
    {"adding ([0-9]+) dummy tokens",
     "the model's file has no vocabulary: its {} tokens have no text, and none can be read", nullptr},
    {"removing '(.*)' token from EOG list",
     "'{}' does not end an answer: llama.cpp takes it for a part of one", nullptr},
    {"'(.*)' is a normal token here", "'{}' is text and ends no answer: llama.cpp does so for this family",
     nullptr},
    // An end token that was not on llama.cpp's list is put there; a default that the vocabulary has not is
    // dropped; the rest is about loading, or decorates another warning.
    {"is not in special_eog_ids", nullptr, nullptr},
    {"default special token .* out of vocab range", nullptr, nullptr},
    {"newline token", nullptr, nullptr},
    {"EOG token id .* out of range", nullptr, nullptr},
    {"QUALITY WILL BE DEGRADED|CONSIDER REGENERATING|\\*\\*\\*\\*", nullptr, nullptr},
    {"^[a-z_]+: *$", nullptr, nullptr},
    {"mmap|model has unused tensor|load-mode|Mask token", nullptr, nullptr},
};

}  // namespace

std::vector<std::string> vocabulary_notes(std::span<const std::string> warnings) {
    constexpr std::size_t kNamed = 5;
    if (warnings.empty()) return {};
    // A vocabulary can give a line for each of its tokens.
    std::vector<std::regex> patterns;
    for (const Known& known : kKnown) patterns.emplace_back(known.pattern);
    std::vector<std::vector<std::string>> said(std::size(kKnown));
    std::vector<std::pair<std::size_t, std::string>> order;  // of kKnown, or past it with llama.cpp's words
    for (const std::string& line : warnings) {
        std::smatch match;
        std::size_t k = 0;
        while (k < std::size(kKnown) && !std::regex_search(line, match, patterns[k])) ++k;
        if (k == std::size(kKnown)) {
            order.emplace_back(k, line);
            continue;
        }
        if (said[k].empty()) order.emplace_back(k, "");
        said[k].push_back(match.size() > 1 ? match[1].str() : "");
    }
    std::vector<std::string> notes;
    for (const auto& [k, line] : order) {
        if (k == std::size(kKnown)) {
            notes.push_back("llama.cpp says of the model's file: " + printable(line));
            continue;
        }
        if (kKnown[k].one == nullptr) continue;
        std::vector<std::string>& names = said[k];
        const std::size_t count = names.size();
        // The order of such lines is that of a hash table.
        std::ranges::sort(names);
        if (count > kNamed) names.resize(kNamed);
        std::string list = printable(fmt::format("{}", fmt::join(names, ", ")));
        if (count > kNamed) list += fmt::format(" and {} more", count - kNamed);
        const char* sentence = count > 1 && kKnown[k].several != nullptr ? kKnown[k].several : kKnown[k].one;
        notes.push_back(fmt::format(fmt::runtime(sentence), list));
    }
    return notes;
}

}  // namespace tomograph
