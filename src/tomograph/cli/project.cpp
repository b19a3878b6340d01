#include <fmt/format.h>

#include <algorithm>

#include "tomograph/base/error.h"
#include "tomograph/cli/commands.h"
#include "tomograph/cli/options.h"
#include "tomograph/maps/projection.h"

namespace tomograph {
namespace {

struct ProjectFlags {
    std::string run, name, method = "pca", basis;
    std::string metric = metric_name(UmapProjectionOptions{}.umap.metric), init = "multilevel";
    std::optional<int> dims;
    int threads = 0, n_neighbors = 15, n_epochs = 0, pre_dims = 0;
    double min_dist = 0.1, spread = 1.0, repulsion_strength = 1.0;
    int negative_sample_rate = 5;
    std::int64_t fit_rows = 100'000;
    std::string fit_sample = fit_sample_name(UmapProjectionOptions{}.fit_sample);
    bool no_center = false, from_moments = false;
    SelectionFlags selection;
    const CLI::App* command = nullptr;
};

/// A flag of the other method is a mistake to point out, not to pass over.
void refuse_unused(const ProjectFlags& flags) {
    const bool pca = flags.method == "pca";
    const std::vector<const char*> others =
        pca ? std::vector<const char*>{"--metric",
                                       "--n-neighbors",
                                       "--min-dist",
                                       "--spread",
                                       "--negative-sample-rate",
                                       "--repulsion-strength",
                                       "--n-epochs",
                                       "--init",
                                       "--pre-dims",
                                       "--fit-rows",
                                       "--fit-sample"}
            : std::vector<const char*>{"--basis", "--no-center", "--from-moments"};
    for (const char* flag : others) {
        if (flags.command->count(flag) > 0)
            throw CLI::ValidationError(fmt::format("{} has no meaning with --method {}", flag, flags.method));
    }
    if (!pca && flags.dims && *flags.dims != 2 && *flags.dims != 3)
        throw CLI::ValidationError("--method umap takes --dims 2 or 3");
}

UmapOptions::Init parse_init(const std::string& text) {
    return text == "pca"        ? UmapOptions::Init::pca
           : text == "spectral" ? UmapOptions::Init::spectral
                                : UmapOptions::Init::multilevel;
}

/// What is asked for; where nothing is, what makes a first picture worth looking at, which is said.
Selection chosen(const Run& run, const ProjectFlags& flags) {
    Selection selection = flags.selection.selection();
    for (const char* flag : {"--components", "--layers", "--positions", "--sequences", "--labels", "--where",
                             "--normalize", "--mean", "--layer-order"}) {
        if (flags.command->count(flag) > 0) return selection;
    }
    if (!flags.basis.empty() || flags.from_moments) return selection;
    const auto kept = [&](Component component) {
        return std::ranges::any_of(run.sites(), [&](const SiteShape& s) {
            return s.site.component == component && run.has_vectors(s.site);
        });
    };
    const bool pair = kept(Component::attn_out) && kept(Component::mlp_out);
    if ((!pair && !kept(Component::resid_post)) || run.length() < 2) return selection;
    selection.components =
        pair ? std::vector{Component::attn_out, Component::mlp_out} : std::vector{Component::resid_post};
    selection.positions = Range{1, {}};
    selection.normalize = Normalize::unit;
    print_notes(
        {fmt::format("nothing was chosen: {}, as unit vectors, without first tokens (--components {} "
                     "--positions 1: --normalize unit)",
                     pair ? "what attention and MLP add" : "the stream after each block",
                     pair ? "attn_out,mlp_out" : "resid_post")});
    return selection;
}

/// More rows than these are written as they are placed, and never held all at once.
constexpr std::int64_t kRowsInMemory = 1'000'000;

Projection make_pca(const Run& run, const ProjectFlags& flags, Progress& progress) {
    const ProjectionOptions options{.selection = chosen(run, flags),
                                    .dims = flags.dims.value_or(6),
                                    .basis_of = flags.basis,
                                    .from_moments = flags.from_moments,
                                    .center = !flags.no_center,
                                    .threads = flags.threads};
    return project_pca(run, flags.name, options, progress);
}

UmapProjectionOptions umap_options(const Run& run, const ProjectFlags& flags) {
    UmapProjectionOptions options{.selection = chosen(run, flags),
                                  .pre_dims = flags.pre_dims,
                                  .fit_rows = flags.fit_rows,
                                  .fit_sample = parse_fit_sample(flags.fit_sample)};
    options.umap.n_neighbors = flags.n_neighbors;
    options.umap.n_components = flags.dims.value_or(2);
    options.umap.metric = parse_metric(flags.metric);
    options.umap.min_dist = flags.min_dist;
    options.umap.spread = flags.spread;
    options.umap.negative_sample_rate = flags.negative_sample_rate;
    options.umap.repulsion_strength = flags.repulsion_strength;
    options.umap.n_epochs = flags.n_epochs;
    options.umap.init = parse_init(flags.init);
    options.umap.seed = flags.selection.seed;
    options.umap.threads = flags.threads;
    return options;
}

void print_honesty(const Json& info) {
    if (info.value("constant", false)) {
        say("constant: the variance is {:.1e} of the mean square, which is rounding; nothing to draw\n",
            info.at("relative_variance").get<double>());
        return;
    }
    if (info.at("method") == "umap") {
        say("fitted on {} rows; trustworthiness {:.3f}, neighbours kept {:.3f} (k = {}, {} rows sampled); "
            "neighbour search recall {:.3f}\n",
            info.at("n_fitted").get<std::int64_t>(), info.at("trustworthiness").get<double>(),
            info.at("knn_recall").get<double>(), info.at("quality_k").get<int>(),
            info.at("quality_sample").get<std::int64_t>(),
            info.at("umap").at("neighbor_search_recall").get<double>());
        if (const auto own = info.find("neighbors_of_own_site"); own != info.end())
            say("neighbours of the same component and layer: {:.0f} % on the map, {:.0f} % in the full "
                "space, "
                "{:.0f} % by chance\n",
                100 * own->at("map").get<double>(), 100 * own->at("space").get<double>(),
                100 * own->at("chance").get<double>());
        return;
    }
    double sum = 0;
    std::string parts;
    for (const double part : info.at("explained_variance_ratio").get<std::vector<double>>()) {
        sum += part;
        parts += fmt::format("{}{:.1f}", parts.empty() ? "" : " + ", 100 * part);
    }
    say("variance explained: {} = {:.1f} %\n", parts, 100 * sum);
}

void print_projection(const std::string& name, const Json& info, Progress& progress) {
    progress.end();
    print_notes(info.value("notes", std::vector<std::string>{}));
    say("{}: {} of {} rows, {} dimensions\n", name, info.at("n_rows").get<std::int64_t>(),
        info.at("n_candidates").get<std::int64_t>(), info.at("dims").get<std::int64_t>());
    print_honesty(info);
}

void run_project(const ProjectFlags& flags, Progress& progress) {
    refuse_unused(flags);
    check_projection_name(flags.name);
    const Run run = Run::open(flags.run);
    const bool pca = flags.method == "pca";
    const UmapProjectionOptions umap = pca ? UmapProjectionOptions{} : umap_options(run, flags);
    // Averages are in memory all the same, and to count them would be to make them twice.
    if (!pca && !umap.selection.averages() && select(run, umap.selection).n_rows() > kRowsInMemory) {
        print_projection(flags.name, project_umap_to_file(run, flags.name, umap, progress), progress);
        return;
    }
    const Projection projection =
        pca ? make_pca(run, flags, progress) : project_umap(run, flags.name, umap, progress);
    print_projection(flags.name, projection.info, progress);
    // Last, so that a read-only or full folder costs the map but not the numbers.
    save_projection(run, projection);
}

}  // namespace

void add_project(CLI::App& app, Progress& progress) {
    auto flags = std::make_shared<ProjectFlags>();
    CLI::App* command = app.add_subcommand("project", "Reduce a run's vectors to a few dimensions");
    flags->command = command;
    command->add_option("RUN", flags->run, "Run folder")->required();
    command->add_option("--name", flags->name, "Name of the projection")->required();
    command->add_option("--method", flags->method, "pca or umap")
        ->capture_default_str()
        ->check(CLI::IsMember({"pca", "umap"}));
    command->add_option("--dims", flags->dims, "Dimensions to keep (default: pca 6, umap 2)")
        ->check(CLI::Range(1, 4096));
    command->add_option("--basis", flags->basis,
                        "pca: project into the basis of this earlier projection instead of fitting");
    command
        ->add_flag(
            "--from-moments", flags->from_moments,
            "pca: fit the axes to the moments that the run keeps (capture --keep moments) of the sites "
            "chosen, of all their tokens; no vector is read for it, nor needed")
        ->excludes("--basis");
    command->add_flag("--no-center", flags->no_center, "pca: do not subtract the mean before projecting");
    command->add_option("--metric", flags->metric, "umap: cosine, euclidean or correlation")
        ->capture_default_str()
        ->check(CLI::IsMember({"cosine", "euclidean", "correlation"}));
    command->add_option("--n-neighbors", flags->n_neighbors, "umap: rows that shape the map around each row")
        ->capture_default_str()
        ->check(CLI::Range(2, 1000));
    command->add_option("--min-dist", flags->min_dist, "umap: how tightly points may be packed")
        ->capture_default_str()
        ->check(CLI::Range(0.0, 1.0));
    command->add_option("--spread", flags->spread, "umap: scale of the map")
        ->capture_default_str()
        ->check(CLI::Range(0.01, 100.0));
    command
        ->add_option("--negative-sample-rate", flags->negative_sample_rate,
                     "umap: points pushed away for each one pulled near")
        ->capture_default_str()
        ->check(CLI::Range(1, 100));
    command->add_option("--repulsion-strength", flags->repulsion_strength, "umap: how hard they are pushed")
        ->capture_default_str()
        ->check(CLI::NonNegativeNumber);
    command
        ->add_option("--n-epochs", flags->n_epochs,
                     "umap: rounds of the layout (default: 500 up to 10,000 rows, 200 above)")
        ->check(CLI::PositiveNumber);
    command->add_option("--init", flags->init, "umap: where the layout starts: multilevel, spectral or pca")
        ->capture_default_str()
        ->check(CLI::IsMember({"multilevel", "spectral", "pca"}));
    command->add_option("--pre-dims", flags->pre_dims, "umap: reduce to so many principal components first")
        ->check(CLI::PositiveNumber);
    command
        ->add_option("--fit-rows", flags->fit_rows,
                     "umap: fit on at most so many rows and place the others; 0: fit on all")
        ->capture_default_str()
        ->check(CLI::NonNegativeNumber);
    command
        ->add_option("--fit-sample", flags->fit_sample,
                     "umap: which rows are fitted where not all are: cover (half of them spread evenly over "
                     "the space, so that what is rare is not lost) or uniform")
        ->capture_default_str()
        ->check(CLI::IsMember({"cover", "uniform"}));
    command->add_option("--threads", flags->threads, "Threads (default: all)")->check(CLI::PositiveNumber);
    flags->selection.add(*command);
    command->callback([flags, &progress] { run_project(*flags, progress); });
}

}  // namespace tomograph
