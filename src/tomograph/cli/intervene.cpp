#include <fmt/format.h>

#include "tomograph/base/error.h"
#include "tomograph/base/json.h"
#include "tomograph/base/text.h"
#include "tomograph/cli/commands.h"
#include "tomograph/cli/common.h"
#include "tomograph/cli/options.h"
#include "tomograph/intervene/effects.h"
#include "tomograph/model/model.h"
#include "tomograph/prompts/prompts.h"

namespace tomograph {
namespace {

struct Flags {
    std::string model, spec;
    std::vector<std::string> text, prompts, contrast;
    std::optional<std::int64_t> sequences, length;
    bool json = false, exact = false, no_control = false;
    int threads = 0;
    std::uint64_t seed = 42;
};

/// A file, or the JSON itself.
std::pair<Json, std::filesystem::path> read_spec(const std::string& spec) {
    if (spec.starts_with("{")) return {parse_json(spec), std::filesystem::current_path()};
    return {read_json(spec), std::filesystem::absolute(spec).parent_path()};
}

std::string interval_text(const std::optional<Interval>& interval) {
    return interval ? fmt::format(" [{:+.4f}, {:+.4f}]", interval->lo, interval->hi) : "";
}

void print_effect(const InterventionEffect& effect, const Vocabulary& vocabulary) {
    say("loss   {:.4f} nats before, {:.4f} after: {:+.4f}{}\n", effect.before, effect.after, effect.change,
        interval_text(effect.interval));
    if (effect.control_change)
        say("control {:+.4f}: changes as long, in random directions\n", *effect.control_change);
    say("KL     {:.4f} nats of the next token, before from after\n", effect.kl);
    if (effect.contrast_before)
        say("logit difference {:+.4f} before, {:+.4f} after\n", *effect.contrast_before,
            *effect.contrast_after);
    const auto line = [&](const std::vector<Guess>& guesses) {
        std::string text;
        for (const Guess& guess : guesses)
            text += fmt::format("{}'{}' {:.3f}", text.empty() ? "" : "  ",
                                printable(vocabulary.piece(guess.token)), guess.probability);
        return text;
    };
    say("next   {}\n    -> {}\n", line(effect.top_before), line(effect.top_after));
    say("{} tokens of {} sequences were changed\n", effect.n_changed, effect.sequence_before.size());
}

void run(const Flags& flags, Progress& progress) {
    if (!flags.text.empty() && !flags.prompts.empty())
        throw CLI::ValidationError("give --text or --prompt, not both");
    if (!flags.contrast.empty() && flags.contrast.size() != 2)
        throw CLI::ValidationError("--contrast takes two tokens");
    const auto [spec, folder] = read_spec(flags.spec);
    const Model model = Model::open(flags.model);
    const Vocabulary& vocabulary = model.vocabulary();
    const std::int64_t length = flags.length.value_or(default_length(model.info()));
    const PromptSet prompts = flags.prompts.empty()
                                  ? text_prompts(vocabulary, {.files = {flags.text.begin(), flags.text.end()},
                                                              .sequences = flags.sequences.value_or(8),
                                                              .length = length})
                                  : given_prompts(vocabulary, {.prompts = flags.prompts, .length = length});
    print_notes(prompts.notes);
    InterveneOptions options{
        .exact = flags.exact, .threads = flags.threads, .seed = flags.seed, .control = !flags.no_control};
    for (const std::string& word : flags.contrast) options.contrast.push_back(single_token(vocabulary, word));
    const auto sites =
        model.make_engine({.max_length = std::min<std::int64_t>(16, model.info().context_length)})->sites();
    const auto effect = measure_effect(model, prompts, read_acts(spec, sites, folder), options, progress);
    if (flags.json) return print_json(effect_json(effect, vocabulary));
    print_notes(effect.notes);
    print_effect(effect, vocabulary);
}

}  // namespace

void add_intervene(CLI::App& app, Progress& progress) {
    auto flags = std::make_shared<Flags>();
    CLI::App* command =
        app.add_subcommand("intervene", "Change what a model computes, and measure what it loses");
    command->add_option("MODEL", flags->model, "GGUF file, or bytes-gpt2 or bytes-llama (built in)")
        ->required();
    command
        ->add_option("--spec", flags->spec,
                     "JSON file with the acts, or the JSON itself: docs/interventions.md")
        ->required();
    command->add_option("--text", flags->text, "Text files (default: a chapter of Moby-Dick)");
    command->add_option("--prompt", flags->prompts, "A prompt to read whole; may be given again");
    command->add_option("--sequences", flags->sequences, "At most so many sequences of text (default 8)")
        ->check(CLI::PositiveNumber);
    command->add_option("--length", flags->length, "Tokens a sequence (default: the context, at most 512)")
        ->check(CLI::PositiveNumber);
    command
        ->add_option("--contrast", flags->contrast,
                     "Two words of one token each: their logits' difference at each sequence's end")
        ->expected(2);
    command->add_flag("--no-control", flags->no_control, "Leave out the control: a third of the time");
    command->add_flag("--exact", flags->exact, "F32 key-value cache, no flash attention");
    command->add_option("--threads", flags->threads, "Threads (default: all)")->check(CLI::PositiveNumber);
    command->add_option("--seed", flags->seed, "Seed of every random choice")->capture_default_str();
    command->add_flag("--json", flags->json, "Print JSON alone");
    command->callback([flags, &progress] { run(*flags, progress); });
}

}  // namespace tomograph
