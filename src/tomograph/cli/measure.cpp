#include "tomograph/findings/measure.h"

#include <fmt/format.h>

#include <cstdio>
#include <map>

#include "tomograph/base/contained.h"
#include "tomograph/base/error.h"
#include "tomograph/cli/commands.h"
#include "tomograph/cli/common.h"
#include "tomograph/figures/gnuplot.h"
#include "tomograph/figures/measures.h"
#include "tomograph/findings/list.h"
#include "tomograph/report/study_file.h"
#include "tomograph/store/run_folder.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;

struct MeasureFlags {
    std::string run, rope_off, positions, repeat, planted, context, reference;
    std::vector<std::string> twins, rope_doses;
    double fdr = 0.05;
    std::vector<std::string> fail_on, only;
    bool json = false;
    std::int64_t rows = 4000;
    int bootstrap = 100, threads = 0;
    std::uint64_t seed = 42;
};

bool is_study(const std::string& path) {
    return folder_kind(path) == FolderKind::study;
}

/// The runs of a study that untrained twins made.
std::vector<Run> twins_of_study(const fs::path& study) {
    std::vector<Run> twins;
    for (const std::string& name : read_study(study).runs) {
        if (!name.starts_with("twin") || folder_kind(study / name) != FolderKind::run) continue;
        twins.push_back(Run::open(contained_folder(study, name)));
    }
    return twins;
}

/// Draws the numbers into RUN/figures, or into the study's, whose pictures of the vectors stay the findings'
/// own.
void draw(const std::string& path, const Run& run, MeasureReport& report) {
    try {
        find_gnuplot();
    } catch (const Error& error) {
        warn("note: no figures were drawn: {}\n", error.what());
        return;
    }
    for (const std::string& failed : draw_measures(run, report, path).failed) warn("warning: {}\n", failed);
    if (!is_study(path)) return;
    std::map<std::string, std::string> own;
    for (const Json& finding :
         read_json(std::filesystem::path(path) / "study.json").value("findings", Json::array())) {
        if (finding.value("figure", Json()).is_string())
            own[finding.at("name").get<std::string>()] = finding["figure"].get<std::string>();
    }
    for (Finding& finding : report.findings) {
        if (const auto figure = own.find(finding.name); figure != own.end()) finding.figure = figure->second;
    }
}

void run_measure(const MeasureFlags& flags, Progress& progress) {
    check_fail_on(flags.fail_on, !flags.reference.empty());
    const Run run = Run::open(run_folder(flags.run));
    std::optional<Run> rope_off, positions, repeat, planted, context, reference;
    std::vector<Run> twins, rope_doses;
    for (const std::string& dose : flags.rope_doses) rope_doses.push_back(Run::open(run_folder(dose)));
    for (const std::string& twin : flags.twins) twins.push_back(Run::open(run_folder(twin)));
    if (flags.twins.empty() && is_study(flags.run)) twins = twins_of_study(flags.run);
    if (!flags.rope_off.empty()) rope_off = Run::open(run_folder(flags.rope_off));
    // What is not named is the study's own, where there is one.
    const auto open_part = [&](std::optional<Run>& part, const std::string& named, const char* name) {
        const fs::path own = fs::path(flags.run) / name;
        if (!named.empty())
            part = Run::open(run_folder(named));
        else if (is_study(flags.run) && folder_kind(own) == FolderKind::run)
            part = Run::open(own);
    };
    open_part(positions, flags.positions, "positions");
    open_part(repeat, flags.repeat, "repeat");
    open_part(planted, flags.planted, "planted");
    if (!flags.context.empty()) context = Run::open(run_folder(flags.context));
    if (!flags.reference.empty()) reference = Run::open(run_folder(flags.reference));
    std::vector<const Run*> to_twins, to_doses;
    for (const Run& dose : rope_doses) to_doses.push_back(&dose);
    for (const Run& twin : twins) to_twins.push_back(&twin);
    MeasureOptions options{.twins = to_twins,
                           .rope_off = rope_off ? &*rope_off : nullptr,
                           .rope_doses = to_doses,
                           .context = context ? &*context : nullptr,
                           .positions = positions ? &*positions : nullptr,
                           .repeat = repeat ? &*repeat : nullptr,
                           .planted = planted ? &*planted : nullptr,
                           .reference = reference ? &*reference : nullptr,
                           .fdr = flags.fdr,
                           .only = flags.only,
                           .rows = flags.rows,
                           .bootstrap = flags.bootstrap,
                           .seed = flags.seed,
                           .threads = flags.threads};
    MeasureReport report = measure_run(run, options, progress);
    progress.end();
    save_measures(run, report);  // before anything is drawn: a figure must not cost the numbers
    draw(flags.run, run, report);
    save_findings(run, report);  // once more, with their figures' names
    if (flags.json)
        print_json(findings_json(report));
    else
        say("{}", findings_table(report));
    const auto found = failing(report, flags.fail_on);
    if (found.empty()) return;
    flush_output();
    warn("tomograph: found {}\n", fmt::join(found, ", "));
    throw CLI::RuntimeError(kFoundExit);
}

}  // namespace

void add_measure(CLI::App& app, Progress& progress) {
    auto flags = std::make_shared<MeasureFlags>();
    CLI::App* command =
        app.add_subcommand("measure", "Give every finding as a number with its interval and its null");
    command->add_option("RUN", flags->run, "Run folder, or a study (its text run)")->required();
    command->add_option("--twin", flags->twins,
                        "Runs of untrained twins on the same prompts or the first sequences of them (see "
                        "randomize; default: the study's own)");
    command->add_option("--rope-off-run", flags->rope_off, "Run of the same model captured with --rope-off");
    command->add_option("--rope-dose-run", flags->rope_doses,
                        "Runs of the same model and text captured with other values of --rope-frequency");
    command->add_option("--context-run", flags->context,
                        "Run of the same model and text captured with a short --context");
    command->add_option(
        "--positions-run", flags->positions,
        "Run of the same model on positions alone, whose learned table is longer than the text "
        "(default: the study's own)");
    command->add_option("--repeat-run", flags->repeat,
                        "Run of the same model on one token repeated, to be held against a learned table of "
                        "positions (default: the study's own)");
    command->add_option("--planted-run", flags->planted,
                        "Run of the same model on the text with a start token planted inside (capture "
                        "--plant-start): is it a sink there? (default: the study's own)");
    command->add_option("--reference", flags->reference,
                        "Run of the same model on ordinary text: outliers are what it does not account for");
    command->add_option("--fdr", flags->fdr, "How large a share of the outliers may be ordinary")
        ->needs("--reference")
        ->capture_default_str()
        ->check(CLI::Range(1e-6, 0.5));
    command->add_flag("--json", flags->json, "Print JSON alone");
    command
        ->add_flag_callback(
            "--list",
            [] {
                fmt::print("{}", findings_reference());
                throw CLI::Success();
            },
            "Print the table of findings with their controls, and do nothing else")
        ->trigger_on_parse();
    command
        ->add_option(
            "--fail-on", flags->fail_on,
            "Exit with 3 when one of these findings holds, or has the verdict of NAME:VERDICT: holds, "
            "as-untrained, absent, undecided, not-measurable; outliers (with --reference) also")
        ->delimiter(',');
    command->add_option("--only", flags->only, "Only these findings, and no outliers: faster")
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
