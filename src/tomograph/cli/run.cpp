#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <sstream>

#include "tomograph/cli/commands.h"
#include "tomograph/cli/common.h"
#include "tomograph/cli/model_source.h"
#include "tomograph/cli/options.h"
#include "tomograph/cli/terminal.h"
#include "tomograph/findings/summary.h"
#include "tomograph/store/run.h"
#include "tomograph/study/plan.h"
#include "tomograph/study/study.h"
#ifdef TOMOGRAPH_VIEWER
#include "tomograph/serve/report.h"
#else
#include "tomograph/report/report.h"
#endif

namespace tomograph {
namespace {

struct RunFlags {
    std::string model, out;
    std::vector<std::string> text;
    std::int64_t sequences = 32;
    std::optional<std::int64_t> length;
    std::uint64_t seed = 42;
    int twins = StudyOptions{}.twins, threads = 0;
    std::string dtype = "auto", weights = kDefaultWeights;
    std::string only, skip;
    std::int64_t vocabulary = 0;
    bool force = false, dry_run = false, all_vectors = false;
};

constexpr std::array<std::pair<std::string_view, StudyPart>, 6> kParts{{{"repeat", StudyPart::repeat},
                                                                        {"vocabulary", StudyPart::vocabulary},
                                                                        {"positions", StudyPart::positions},
                                                                        {"planted", StudyPart::planted},
                                                                        {"lens", StudyPart::lens},
                                                                        {"twins", StudyPart::twins}}};

/// The parts that a comma-separated list names; "text" may stand in --only, since it is always read.
std::vector<StudyPart> named_parts(const std::string& flag, const std::string& list) {
    std::vector<StudyPart> parts;
    std::istringstream in(list);
    for (std::string word; std::getline(in, word, ',');) {
        if (word == "text" && flag == "--only") continue;
        if (word == "text")
            throw CLI::ValidationError("a study without its text has no findings: capture makes single runs");
        const auto found =
            std::find_if(kParts.begin(), kParts.end(), [&](const auto& part) { return part.first == word; });
        if (found == kParts.end())
            throw CLI::ValidationError(fmt::format(
                "{}: no part '{}'; use repeat, vocabulary, positions, planted, lens, twins", flag, word));
        parts.push_back(found->second);
    }
    return parts;
}

std::vector<StudyPart> chosen_parts(const RunFlags& flags) {
    if (!flags.only.empty()) return named_parts("--only", flags.only);
    std::vector<StudyPart> parts = StudyOptions{}.parts;
    for (const StudyPart skipped : named_parts("--skip", flags.skip)) std::erase(parts, skipped);
    return parts;
}

/// What a study is going to read, and what that takes.
void print_plan(const StudyPlan& plan, double tokens_a_second, std::FILE* stream) {
    for (const PlannedRun& run : plan.runs)
        say(stream, "  {:<14}{:>6} {:<10}{:>9} tokens{:>11}\n", run.name, run.prompts.sequences.size(),
            run.prompts.sequences.size() == 1 ? "sequence" : "sequences", run.n_tokens,
            bytes_text(static_cast<double>(run.bytes)));
    say(stream, "{} tokens at about {:.0f} a second: {} of captures, {} on disk; then measures and figures\n",
        plan.n_tokens(), tokens_a_second,
        duration_text(static_cast<double>(plan.n_tokens()) / tokens_a_second),
        bytes_text(static_cast<double>(plan.bytes())));
}

/// The viewer in one file, or what it says without a map where the program has no viewer.
void write_report(const std::filesystem::path& study) {
#ifdef TOMOGRAPH_VIEWER
    write_viewer_report(study, study / "report.html");
#else
    write_static_report(study, study / "report.html");
#endif
}

void run(const RunFlags& flags, Progress& progress) {
    const auto began = std::chrono::steady_clock::now();
    if (!flags.out.empty())
        check_output_folder(flags.out, FolderKind::study, flags.force ? Begin::replace : Begin::fresh);
    const std::string file = find_model(flags.model, progress);
    const Model model = open_held(file, flags.weights, flags.threads);
    const std::filesystem::path out =
        flags.out.empty() ? std::filesystem::path(file).stem() : std::filesystem::path(flags.out);
    const std::int64_t length = flags.length.value_or(default_length(model.info()));
    warn_about_length(model.info(), length);
    StudyOptions options{.text = {flags.text.begin(), flags.text.end()},
                         .sequences = flags.sequences,
                         .length = length,
                         .twins = flags.twins,
                         .parts = chosen_parts(flags),
                         .vocabulary_rows = flags.vocabulary,
                         .seed = flags.seed,
                         .dtype = find_dtype(flags.dtype),
                         .all_vectors = flags.all_vectors,
                         .force = flags.force,
                         .threads = flags.threads,
                         .command = this_command()};
    if (flags.dry_run) {
        const StudyPlan plan = plan_study(model, options, progress);
        print_notes(plan.notes);
        say("{} would be read into {}:\n", model.info().name, out.string());
        return print_plan(plan, measure_rate(model, plan, options, progress), stdout);
    }
    std::size_t n_planned_notes = 0;
    options.planned = [&](const StudyPlan& plan) {
        print_notes(plan.notes);
        n_planned_notes = plan.notes.size();
        if (is_quiet()) return;
        print_plan(plan, measure_rate(model, plan, options, progress), stderr);
    };
    const StudySummary summary = make_study(model, out, options, progress);
    write_report(out);
    progress.end();
    // Those of the plan have been said.
    print_notes(std::vector(summary.notes.begin() + static_cast<std::ptrdiff_t>(n_planned_notes),
                            summary.notes.end()));
    for (const std::string& failed : summary.failed) fmt::print(stderr, "warning: {}\n", failed);

    std::size_t pictures = 0;
    for (const Figure& figure : summary.figures) pictures += !figure.file.empty();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    say("{} in {}\n\n", model.info().name, duration_text(seconds));
    say("  runs     {}\n", (out / fmt::format("{{{}}}", fmt::join(summary.runs, ","))).string());
    say("  figures  {} ({})\n", (out / "figures").string(), pictures);
    say("  report   {}\n", (out / "report.html").string());
#ifdef TOMOGRAPH_VIEWER
    say("  look     {}\n", command_text({"view", out.string(), "--model", flags.model}));
#endif
    say("\n");
    say("{}\n", findings_table(summary.measures, 5));
    for (const SummaryLine& line : summary_lines(summary.numbers))
        say("{:<41}{:<16} {}\n", line.what, line.value, line.how);
}

}  // namespace

void add_run(CLI::App& app, Progress& progress) {
    auto flags = std::make_shared<RunFlags>();
    CLI::App* command = app.add_subcommand(
        "run", "Do the whole experiment on a model: captures, figures, measures, a report");
    command->add_option("MODEL", flags->model, kModelHelp)->required();
    command->add_option("--text", flags->text, "Text files (default: a chapter of Moby-Dick)");
    command->add_option("--sequences", flags->sequences, "At most so many sequences of text")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    command->add_option("--length", flags->length, "Tokens a sequence (default: the context, at most 512)")
        ->check(CLI::PositiveNumber);
    command
        ->add_option(
            "--twins", flags->twins,
            "Untrained twins with Gaussian weights; where there are any, one more keeps each matrix's "
            "singular values")
        ->capture_default_str()
        ->check(CLI::Range(0, 100));
    command->add_option("--out", flags->out, "Study folder to write (default: the model's name)");
    command
        ->add_option("--dtype", flags->dtype,
                     "auto, f32, f16 or bf16; auto is f16, and bf16 from where f16 ends")
        ->capture_default_str()
        ->check(CLI::IsMember({"auto", "f32", "f16", "bf16"}));
    command->add_flag("--all-vectors", flags->all_vectors,
                      "Keep the vectors of every site that is read, the twins' too: three times the disk");
    command->add_option(
        "--only", flags->only,
        "Beside the text only these parts: repeat, vocabulary, positions, planted (a start token "
        "inside each sequence), lens, twins");
    command->add_option("--skip", flags->skip, "Without these parts")->excludes("--only");
    command
        ->add_option(
            "--vocabulary", flags->vocabulary,
            "Tokens of the vocabulary part (default: all of a small model, else as many as the text has, "
            "512 to 4096; a number beyond it: all)")
        ->check(CLI::PositiveNumber);
    command->add_flag("--dry-run", flags->dry_run,
                      "Say what would be read, how long and how large; write nothing");
    command->add_option("--seed", flags->seed, "Seed of every random choice")->capture_default_str();
    add_weights(*command, flags->weights);
    command->add_option("--threads", flags->threads, "Threads (default: all)")->check(CLI::PositiveNumber);
    command->add_flag("--force", flags->force, "Replace an existing study");
    command->callback([flags, &progress] { run(*flags, progress); });
}

}  // namespace tomograph
