#include "tomograph/findings/compare.h"

#include <fmt/format.h>

#include "tomograph/base/output.h"
#include "tomograph/cli/commands.h"
#include "tomograph/cli/common.h"
#include "tomograph/figures/gnuplot.h"
#include "tomograph/figures/scatter.h"
#include "tomograph/store/run_folder.h"

namespace tomograph {
namespace {

struct CompareFlags {
    std::string a, b, out, figure;
    bool json = false, force = false;
    std::int64_t rows = 4000;
    std::uint64_t seed = 42;
    int threads = 0;
};

void draw(const Run& a, const Run& b, const std::string& path) {
    const SharedBasis basis = shared_basis(a, b, Component::resid_post);
    Categories runs{.names = {a.model_name() + ", " + a.path().filename().string(),
                              b.model_name() + ", " + b.path().filename().string()}};
    for (std::int32_t side = 0; side < 2; ++side)
        runs.of_point.insert(runs.of_point.end(), basis.layer.size(), side);
    const auto label = [&](std::size_t i) {
        return fmt::format("PC {} ({:.1f} %)", i + 1, 100 * basis.variance_ratio[i]);
    };
    draw_scatter(path, basis.points, runs, {.labels = {label(0), label(1), ""}, .equal = true});
}

void run_compare(const CompareFlags& flags, Progress& progress) {
    if (!flags.out.empty()) check_output_file(flags.out, {.force = flags.force});
    if (!flags.figure.empty()) {
        figure_format(flags.figure);  // a wrong extension should not cost the reading
        check_output_file(flags.figure, {.force = flags.force});
    }
    const Run a = Run::open(run_folder(flags.a)), b = Run::open(run_folder(flags.b));
    const CompareReport report =
        compare_runs(a, b, {.rows = flags.rows, .seed = flags.seed, .threads = flags.threads}, progress);
    if (!flags.out.empty()) write_json(flags.out, compare_json(report));
    if (!flags.figure.empty()) draw(a, b, flags.figure);
    if (flags.json)
        print_json(compare_json(report));
    else
        say(flags.out.empty() ? stdout : messages_beside(flags.out), "{}", compare_table(report));
}

}  // namespace

void add_compare(CLI::App& app, Progress& progress) {
    auto flags = std::make_shared<CompareFlags>();
    CLI::App* command = app.add_subcommand(
        "compare", "Measure how far two models' vectors lie apart on the same prompts, by site");
    command->add_option("RUN_A", flags->a, "Run folder, or a study (its text run)")->required();
    command
        ->add_option("RUN_B", flags->b,
                     "The other one: same prompts; other tokens are compared where they end alike")
        ->required();
    command->add_flag("--json", flags->json, "Print JSON alone");
    command->add_option("--out", flags->out, "Also write the JSON to this file");
    command->add_option("--figure", flags->figure,
                        "Draw both in one shared basis: a .png, .svg or .pdf file");
    command->add_flag("--force", flags->force, "Replace files that --out and --figure name");
    command->add_option("--rows", flags->rows, "Rows a site, drawn by seed")
        ->capture_default_str()
        ->check(CLI::Range(3, 1000000));
    command->add_option("--seed", flags->seed, "Seed of every random choice")->capture_default_str();
    command->add_option("--threads", flags->threads, "Threads (default: all)")->check(CLI::PositiveNumber);
    command->callback([flags, &progress] { run_compare(*flags, progress); });
}

}  // namespace tomograph
