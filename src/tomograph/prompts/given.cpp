#include <fmt/format.h>

#include "tomograph/base/error.h"
#include "tomograph/prompts/columns.h"
#include "tomograph/prompts/common.h"
#include "tomograph/prompts/prompts.h"
#include "tomograph/prompts/reading.h"

namespace tomograph {

PromptSet given_prompts(const Vocabulary& vocabulary, const GivenOptions& options) {
    const auto start = start_token(vocabulary, options.start);
    PromptSet set;
    std::int64_t spelt = 0, replaced = 0, cut = 0;
    for (std::size_t i = 0; i < options.prompts.size(); ++i) {
        const std::string& prompt = options.prompts[i];
        check_text(prompt, "a prompt");
        const Segment segment{prompt, options.special};
        Reading reading = read_segments(vocabulary, {&segment, 1});
        spelt += reading.spelt;
        replaced += reading.replaced;
        Sequence sequence;
        sequence.tokens = std::move(reading.tokens);
        if (!options.labels.empty())
            sequence.labels.assign(sequence.tokens.size(), word_index(set.labels, options.labels[i]));
        add_start(sequence, start);
        cut += cut_and_close(sequence, options.length, vocabulary.info().closing_token);
        set.sequences.push_back(std::move(sequence));
    }
    if (set.sequences.empty()) throw Error("no prompt was given", "", "use --prompt \"...\"");
    mark_last_tokens(set);
    note_reading(set, spelt, replaced, vocabulary);
    if (cut > 0)
        set.notes.push_back(
            fmt::format("{} of {} prompts were cut to {} tokens", cut, set.sequences.size(), options.length));
    if (options.source.is_null())
        set.description = {{"prompts", options.prompts}};
    else
        set.description = {{"sources", options.source}};
    describe(set, vocabulary, options.kind, start);
    return set;
}

}  // namespace tomograph
