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
    for (const std::string& prompt : options.prompts) {
        check_text(prompt, "a prompt");
        const Segment segment{prompt, options.special};
        Reading reading = read_segments(vocabulary, {&segment, 1});
        spelt += reading.spelt;
        replaced += reading.replaced;
        Sequence sequence;
        sequence.tokens = std::move(reading.tokens);
        add_start(sequence, start);
        cut += cut_to(sequence, options.length);
        set.sequences.push_back(std::move(sequence));
    }
    if (set.sequences.empty()) throw Error("no prompt was given", "", "use --prompt \"...\"");
    mark_last_tokens(set);
    note_reading(set, spelt, replaced, vocabulary);
    if (cut > 0)
        set.notes.push_back(
            fmt::format("{} of {} prompts were cut to {} tokens", cut, set.sequences.size(), options.length));
    set.description = {{"prompts", options.prompts}};
    describe(set, vocabulary, "prompt", start);
    return set;
}

}  // namespace tomograph
