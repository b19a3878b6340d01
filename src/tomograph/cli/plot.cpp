#include <fmt/format.h>

#include "tomograph/base/error.h"
#include "tomograph/base/output.h"
#include "tomograph/cli/commands.h"
#include "tomograph/figures/coloring.h"

namespace tomograph {
namespace {

struct PlotFlags {
    std::string run, name, color = "component", out, title;
    int dims = 2;
    bool equal = false, means = false, connect = false, force = false;
};

void plot(const PlotFlags& flags) {
    figure_format(flags.out);  // a wrong extension should not cost the reading
    check_output_file(flags.out, {.force = flags.force});
    const Run run = Run::open(flags.run);
    const Projection projection = load_projection(run, flags.name);
    if (projection.constant())
        throw Error("'" + flags.name + "' is constant", "its rows are equal up to rounding",
                    "there is nothing to draw");
    if (projection.points.cols() < flags.dims)
        throw Error(fmt::format("'{}' has {} dimensions", flags.name, projection.points.cols()), "",
                    projection.points.cols() < 2 ? "project with --dims 2 or more: a picture needs two"
                                                 : fmt::format("use --dims {}, or project with more --dims",
                                                               projection.points.cols()));
    ScatterOptions options{
        .dims = flags.dims, .equal = flags.equal, .connect = flags.connect, .show_means = flags.means};
    for (int axis = 0; axis < flags.dims; ++axis)
        options.labels[static_cast<std::size_t>(axis)] = axis_label(projection, axis);
    options.figure.title =
        flags.title.empty()
            ? fmt::format("{}\n{}\n{}", flags.name, run_text(run),
                          selection_text(run, projection.info.value("selection", Json::object())))
            : flags.title;
    const Drawn drawn =
        draw_scatter(flags.out, projection.points, color_rows(run, projection, flags.color), options);
    say("{}: {} points{}\n", flags.out, drawn.n_points,
        drawn.n_dropped > 0 ? fmt::format(", {} without a value left out", drawn.n_dropped) : "");
}

}  // namespace

void add_plot(CLI::App& app) {
    auto flags = std::make_shared<PlotFlags>();
    CLI::App* command = app.add_subcommand("plot", "Draw a projection");
    command->add_option("RUN", flags->run, "Run folder")->required();
    command->add_option("NAME", flags->name, "Projection")->required();
    command
        ->add_option("--color", flags->color,
                     "component, layer, position, token, label, norm, or a further column or score of the "
                     "run: role, turn, part, logprob ..., or a mixture's expert (its router prefers it)")
        ->capture_default_str();
    command->add_option("--out", flags->out, "Figure to write: .png, .svg or .pdf")->required();
    command->add_option("--dims", flags->dims, "2 or 3")->capture_default_str()->check(CLI::Range(2, 3));
    command->add_option("--title", flags->title, "Title (default: model, prompts and selection)");
    command->add_flag("--equal", flags->equal, "One length for a unit on all axes");
    command->add_flag("--means", flags->means, "Mark each category's mean");
    command->add_flag("--connect", flags->connect, "Join the points in the order of their rows");
    command->add_flag("--force", flags->force, "Replace an existing file");
    command->callback([flags] { plot(*flags); });
}

}  // namespace tomograph
