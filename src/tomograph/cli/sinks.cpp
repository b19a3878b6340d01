#include "tomograph/cli/sinks.h"

#include "tomograph/cli/options.h"
#include "tomograph/cli/print.h"
#include "tomograph/cli/terminal.h"

namespace tomograph {

void SinkFlags::add(CLI::App& command) {
    command.add_option(
        "--keep", keep,
        "What is kept: norms,means,moments and vectors[:FRACTION] or scores:K, comma-separated "
        "(default: norms,means,vectors); scores stand for vectors in far less room");
    command.add_option("--budget", budget,
                       "Disk that the run may take, such as 8GB: what is kept is chosen for it");
    command.add_option("--memory", memory,
                       "Memory that the capture may take beside the model, such as 2GB: likewise");
    command
        .add_option("--fit-tokens", fit_tokens,
                    "Tokens that the axes of scores are fitted to (default: 64 an axis, at least 2,048)")
        ->check(CLI::PositiveNumber);
    command.add_option("--axes-of", axes_of, "Take the axes of this run's scores, so that two runs compare");
}

void SinkFlags::set(CaptureOptions& options, bool vectors_said) const {
    if (!keep.empty() && vectors_said)
        throw CLI::ValidationError("--keep says all that is kept: leave --no-vectors and --sample out");
    as_usage([&] { KeepWords::set(options); });
}

void SinkFlags::plan(const Engine& engine, const ModelInfo& model, const PromptSet& prompts,
                     CaptureOptions& options) const {
    const CaptureCost cost = KeepWords::plan(engine, model, prompts, options);
    say("plan: {}; {} tokens of {} each, {} on disk; {} of memory beside the model\n", keep_text(options),
        cost.n_tokens, bytes_text(cost.token_disk), bytes_text(cost.disk), bytes_text(cost.memory));
}

}  // namespace tomograph
