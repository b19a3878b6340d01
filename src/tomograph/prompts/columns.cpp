#include "tomograph/prompts/columns.h"

#include <algorithm>

namespace tomograph {

std::size_t column_index(PromptSet& set, std::string_view name) {
    const auto found = std::find_if(set.columns.begin(), set.columns.end(),
                                    [&](const LabelColumn& c) { return c.name == name; });
    if (found != set.columns.end()) return static_cast<std::size_t>(found - set.columns.begin());
    set.columns.push_back({std::string(name)});
    return set.columns.size() - 1;
}

std::int32_t word_index(std::vector<std::string>& words, const std::string& word) {
    const auto found = std::find(words.begin(), words.end(), word);
    if (found != words.end()) return static_cast<std::int32_t>(found - words.begin());
    words.push_back(word);
    return static_cast<std::int32_t>(words.size() - 1);
}

void set_entry(Sequence& sequence, std::size_t column, std::size_t token, std::int32_t value) {
    if (sequence.columns.size() <= column) sequence.columns.resize(column + 1);
    sequence.columns[column].resize(sequence.tokens.size(), -1);
    sequence.columns[column][token] = value;
}

void mark_last_tokens(PromptSet& set) {
    const std::size_t column = column_index(set, kPartColumn);
    set.columns[column].words = {"prompt", "last", "answer"};
    for (Sequence& sequence : set.sequences) {
        for (std::size_t t = 0; t < sequence.tokens.size(); ++t)
            set_entry(sequence, column, t, t + 1 == sequence.tokens.size() ? 1 : 0);
    }
}

}  // namespace tomograph
