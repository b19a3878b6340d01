#include <fmt/format.h>

#include "tomograph/cli/commands.h"
#include "tomograph/cli/options.h"
#include "tomograph/reduce/projection.h"

namespace tomograph {
namespace {

struct Flags {
    std::string run, name, method = "pca", basis;
    int dims = 6, threads = 0;
    bool no_center = false;
    SelectionFlags selection;
};

void run_project(const Flags& flags, Progress& progress) {
    check_projection_name(flags.name);
    const Run run = Run::open(flags.run);
    ProjectionOptions options{.selection = flags.selection.selection(), .dims = flags.dims, .basis_of = flags.basis, .center = !flags.no_center, .threads = flags.threads};
    const Projection projection = project_pca(run, flags.name, options, progress);
    save_projection(run, projection);
    progress.end();
    fmt::print("{}: {} of {} rows, {} dimensions\n", flags.name, projection.points.rows(), projection.info.at("n_candidates").get<std::int64_t>(), projection.points.cols());
    if (projection.constant()) {
        fmt::print("constant: the variance is {:.1e} of the mean square, which is rounding; nothing to draw\n", projection.info.at("relative_variance").get<double>());
        return;
    }
    const auto ratio = projection.info.at("explained_variance_ratio").get<std::vector<double>>();
    double sum = 0;
    std::string parts;
    for (const double part : ratio) {
        sum += part;
        parts += fmt::format("{}{:.1f}", parts.empty() ? "" : " + ", 100 * part);
    }
    fmt::print("variance explained: {} = {:.1f} %\n", parts, 100 * sum);
}

}  // namespace

void add_project(CLI::App& app, Progress& progress) {
    auto flags = std::make_shared<Flags>();
    CLI::App* command = app.add_subcommand("project", "Reduce a run's vectors to a few dimensions");
    command->add_option("RUN", flags->run, "Run folder")->required();
    command->add_option("--name", flags->name, "Name of the projection")->required();
    command->add_option("--method", flags->method, "pca")->capture_default_str()->check(CLI::IsMember({"pca"}));
    command->add_option("--dims", flags->dims, "Dimensions to keep")->capture_default_str()->check(CLI::Range(1, 4096));
    command->add_option("--basis", flags->basis, "Project into the basis of this earlier projection instead of fitting");
    command->add_flag("--no-center", flags->no_center, "Do not subtract the mean before projecting");
    command->add_option("--threads", flags->threads, "Threads (default: all)")->check(CLI::PositiveNumber);
    flags->selection.add(*command);
    command->callback([flags, &progress] { run_project(*flags, progress); });
}

}  // namespace tomograph
