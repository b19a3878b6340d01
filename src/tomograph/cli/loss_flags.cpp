#include "tomograph/cli/loss_flags.h"

#include <fmt/format.h>

#include "tomograph/cli/model_source.h"
#include "tomograph/cli/options.h"

namespace tomograph {

void LossFlags::add(CLI::App& command, std::int64_t default_sequences, bool with_prompts) {
    default_sequences_ = default_sequences;
    command.add_option("MODEL", model, kModelHelp)->required();
    command.add_option("--text", text, "Text files (default: a chapter of Moby-Dick)");
    if (with_prompts) command.add_option("--prompt", prompts, "A prompt to read whole; may be given again");
    command
        .add_option("--sequences", sequences,
                    fmt::format("At most so many sequences of text (default {})", default_sequences))
        ->check(CLI::PositiveNumber);
    command.add_option("--length", length, "Tokens a sequence (default: the context, at most 512)")
        ->check(CLI::PositiveNumber);
    add_weights(command, weights);
    command.add_flag("--exact", exact, "F32 key-value cache, no flash attention");
    command.add_option("--threads", threads, "Threads (default: all)")->check(CLI::PositiveNumber);
    command.add_option("--seed", seed, "Seed of every random choice")->capture_default_str();
}

void LossFlags::add_jsonl(CLI::App& command) {
    command.add_option("--jsonl", jsonl, "A JSON object a line, as capture reads them; - reads the input");
    add_side(command, side);
}

Model LossFlags::open(Progress& progress) const {
    return open_held(find_model(model, progress), weights, threads, side);
}

PromptSet LossFlags::read(const Model& opened) const {
    if (!text.empty() + !prompts.empty() + !jsonl.empty() > 1)
        throw CLI::ValidationError("give one of --text, --prompt and --jsonl");
    const std::int64_t tokens = length.value_or(default_length(opened.info()));
    if (!prompts.empty()) return given_prompts(opened.vocabulary(), {.prompts = prompts, .length = tokens});
    if (!jsonl.empty())
        return jsonl_prompts(opened.vocabulary(),
                             {.file = jsonl, .sequences = sequences.value_or(0), .length = tokens});
    return text_prompts(opened.vocabulary(), {.files = {text.begin(), text.end()},
                                              .sequences = sequences.value_or(default_sequences_),
                                              .length = tokens});
}

}  // namespace tomograph
