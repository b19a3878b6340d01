#include <fmt/format.h>

#include "tomograph/base/counted.h"
#include "tomograph/base/error.h"
#include "tomograph/base/json.h"
#include "tomograph/base/text.h"
#include "tomograph/cli/commands.h"
#include "tomograph/cli/common.h"
#include "tomograph/cli/loss_flags.h"
#include "tomograph/cli/model_source.h"
#include "tomograph/cli/options.h"
#include "tomograph/intervene/effects.h"

namespace tomograph {
namespace {

struct InterveneFlags {
    LossFlags loss;
    std::string spec;
    std::vector<std::string> contrast;
    bool json = false, no_control = false;
};

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
    say("{} of {} {} changed\n", counted(effect.n_changed, "token"),
        counted(effect.sequence_before.size(), "sequence"), effect.n_changed == 1 ? "was" : "were");
}

void run(const InterveneFlags& flags, Progress& progress) {
    if (!flags.contrast.empty() && flags.contrast.size() != 2)
        throw CLI::ValidationError("--contrast takes two tokens");
    const auto [spec, folder] = read_spec(flags.spec);
    const Model model = flags.loss.open(progress);
    const Vocabulary& vocabulary = model.vocabulary();
    const PromptSet prompts = flags.loss.read(model);
    print_notes(prompts.notes);
    InterveneOptions options{.exact = flags.loss.exact,
                             .threads = flags.loss.threads,
                             .seed = flags.loss.seed,
                             .control = !flags.no_control};
    for (const std::string& word : flags.contrast) options.contrast.push_back(single_token(vocabulary, word));
    const auto acts = read_acts(spec, model_sites(model), folder);
    const auto effect = measure_effect(model, prompts, acts, options, progress);
    if (flags.json) return print_json(effect_json(effect, vocabulary));
    print_notes(effect.notes);
    print_effect(effect, vocabulary);
}

}  // namespace

void add_intervene(CLI::App& app, Progress& progress) {
    auto flags = std::make_shared<InterveneFlags>();
    CLI::App* command =
        app.add_subcommand("intervene", "Change what a model computes, and measure what it loses");
    flags->loss.add(*command, 8, true);
    flags->loss.add_jsonl(*command);
    command
        ->add_option("--spec", flags->spec,
                     "JSON file with the acts, or the JSON itself: docs/interventions.md")
        ->required();
    command
        ->add_option("--contrast", flags->contrast,
                     "Two words of one token each: their logits' difference at each sequence's end")
        ->expected(2);
    command->add_flag("--no-control", flags->no_control, "Leave out the control: a third of the time");
    command->add_flag("--json", flags->json, "Print JSON alone");
    command->callback([flags, &progress] { run(*flags, progress); });
}

}  // namespace tomograph
