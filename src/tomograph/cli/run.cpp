#include <fmt/format.h>

#include "tomograph/cli/commands.h"
#include "tomograph/cli/common.h"
#include "tomograph/cli/model_source.h"
#include "tomograph/cli/options.h"
#include "tomograph/cli/terminal.h"
#include "tomograph/findings/summary.h"
#include "tomograph/store/run.h"
#include "tomograph/study/study.h"
#ifdef TOMOGRAPH_VIEWER
#include "tomograph/serve/report.h"
#else
#include "tomograph/report/report.h"
#endif

namespace tomograph {
namespace {

struct Flags {
    std::string model, out;
    std::vector<std::string> text;
    std::int64_t sequences = 32;
    std::optional<std::int64_t> length;
    std::uint64_t seed = 42;
    int twins = StudyOptions{}.twins, threads = 0;
    std::string dtype = "auto";
    bool force = false;
};

/// The viewer in one file, or what it says without a map where the program has no viewer.
void write_report(const std::filesystem::path& study) {
#ifdef TOMOGRAPH_VIEWER
    write_viewer_report(study, study / "report.html");
#else
    write_static_report(study, study / "report.html");
#endif
}

void run(const Flags& flags, Progress& progress) {
    const auto began = std::chrono::steady_clock::now();
    if (!flags.out.empty())
        check_output_folder(flags.out, FolderKind::study, flags.force ? Begin::replace : Begin::fresh);
    const std::string file = find_model(flags.model, progress);
    const Model model = Model::open(file);
    const std::filesystem::path out =
        flags.out.empty() ? std::filesystem::path(file).stem() : std::filesystem::path(flags.out);
    const std::int64_t length = flags.length.value_or(default_length(model.info()));
    warn_about_length(model.info(), length);
    StudyOptions options{.text = {flags.text.begin(), flags.text.end()},
                         .sequences = flags.sequences,
                         .length = length,
                         .twins = flags.twins,
                         .seed = flags.seed,
                         .dtype = find_dtype(flags.dtype),
                         .force = flags.force,
                         .threads = flags.threads,
                         .command = this_command()};
    const StudySummary summary = make_study(model, out, options, progress);
    write_report(out);
    progress.end();
    print_notes(summary.notes);
    for (const std::string& failed : summary.failed) fmt::print(stderr, "warning: {}\n", failed);

    std::size_t pictures = 0;
    for (const Figure& figure : summary.figures) pictures += !figure.file.empty();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    say("{} in {}\n\n", model.info().name, duration_text(seconds));
    say("  runs     {}\n", (out / "{text,repeat,vocabulary,positions,twin-*}").string());
    say("  figures  {} ({})\n", (out / "figures").string(), pictures);
    say("  report   {}\n\n", (out / "report.html").string());
    say("{}\n", findings_table(summary.measures, 5));
    for (const SummaryLine& line : summary_lines(summary.numbers))
        say("{:<41}{:<16} {}\n", line.what, line.value, line.how);
}

}  // namespace

void add_run(CLI::App& app, Progress& progress) {
    auto flags = std::make_shared<Flags>();
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
    command->add_option("--seed", flags->seed, "Seed of every random choice")->capture_default_str();
    command->add_option("--threads", flags->threads, "Threads (default: all)")->check(CLI::PositiveNumber);
    command->add_flag("--force", flags->force, "Replace an existing study");
    command->callback([flags, &progress] { run(*flags, progress); });
}

}  // namespace tomograph
