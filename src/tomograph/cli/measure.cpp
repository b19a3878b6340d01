#include "tomograph/measure/measure.h"

#include <fmt/format.h>

#include <cstdio>

#include "tomograph/cli/commands.h"

namespace tomograph {
namespace {

struct Flags {
    std::string run, twin, rope_off;
    std::vector<std::string> fail_on;
    bool json = false;
    std::int64_t rows = 4000;
    int bootstrap = 100, threads = 0;
    std::uint64_t seed = 42;
};

/// A study's text run, or the run itself.
std::filesystem::path run_folder(const std::string& path) {
    return folder_kind(path) == FolderKind::study ? std::filesystem::path(path) / "text"
                                                  : std::filesystem::path(path);
}

void run_measure(const Flags& flags, Progress& progress) {
    check_fail_on(flags.fail_on);
    const Run run = Run::open(run_folder(flags.run));
    std::optional<Run> twin, rope_off;
    if (!flags.twin.empty()) twin = Run::open(run_folder(flags.twin));
    if (!flags.rope_off.empty()) rope_off = Run::open(run_folder(flags.rope_off));
    MeasureOptions options{.twin = twin ? &*twin : nullptr,
                           .rope_off = rope_off ? &*rope_off : nullptr,
                           .rows = flags.rows,
                           .bootstrap = flags.bootstrap,
                           .seed = flags.seed,
                           .threads = flags.threads};
    const MeasureReport report = measure_run(run, options, progress);
    save_measures(run, report);
    progress.end();
    if (flags.json)
        fmt::print("{}\n",
                   findings_json(report).dump(1, ' ', false, nlohmann::json::error_handler_t::replace));
    else
        fmt::print("{}", findings_table(report));
    const auto found = failing(report, flags.fail_on);
    if (found.empty()) return;
    fmt::print(stderr, "tomograph: found {}\n", fmt::join(found, ", "));
    std::fflush(stdout);
    throw CLI::RuntimeError(kFoundExit);
}

}  // namespace

void add_measure(CLI::App& app, Progress& progress) {
    auto flags = std::make_shared<Flags>();
    CLI::App* command =
        app.add_subcommand("measure", "Give every finding as a number with its interval and its null");
    command->add_option("RUN", flags->run, "Run folder, or a study (its text run)")->required();
    command->add_option("--twin", flags->twin,
                        "Run of the random-weight twin on the same prompts (see randomize)");
    command->add_option("--rope-off-run", flags->rope_off, "Run of the same model captured with --rope-off");
    command->add_flag("--json", flags->json, "Print JSON alone");
    command
        ->add_option("--fail-on", flags->fail_on,
                     "Exit with 3 when one of these findings holds; outliers, NAME:absent and "
                     "NAME:not-measurable also")
        ->delimiter(',');
    command->add_option("--rows", flags->rows, "Rows a site for what compares rows, drawn by seed")
        ->capture_default_str()
        ->check(CLI::Range(16, 1000000));
    command->add_option("--bootstrap", flags->bootstrap, "Replicates of the bootstrap over sequences")
        ->capture_default_str()
        ->check(CLI::Range(20, 100000));
    command->add_option("--seed", flags->seed, "Seed of every random choice")->capture_default_str();
    command->add_option("--threads", flags->threads, "Threads (default: all)")->check(CLI::PositiveNumber);
    command->callback([flags, &progress] { run_measure(*flags, progress); });
}

}  // namespace tomograph
