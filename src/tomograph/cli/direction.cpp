#include "tomograph/intervene/direction.h"

#include <fmt/format.h>

#include "tomograph/base/error.h"
#include "tomograph/base/output.h"
#include "tomograph/base/text.h"
#include "tomograph/cli/commands.h"
#include "tomograph/cli/common.h"
#include "tomograph/cli/options.h"
#include "tomograph/store/run_folder.h"

namespace tomograph {
namespace {

struct DirectionFlags {
    std::string run, from, to, component = "resid_post", layers = ":", method = "mean", out;
    std::int64_t rows = 2000;
    int permutations = 20, threads = 0;
    std::uint64_t seed = 42;
    bool json = false, force = false;
};

std::string label_of(const std::string& flag, const std::string& text) {
    constexpr std::string_view kKey = "label=";
    if (!text.starts_with(kKey) || text.size() == kKey.size())
        throw CLI::ValidationError(fmt::format("{} is label=NAME, not '{}'", flag, text));
    return text.substr(kKey.size());
}

void run_direction(const DirectionFlags& flags, Progress& progress) {
    const auto component = find_component(flags.component);
    if (!component || !in_block(*component))
        throw CLI::ValidationError("--component is one of blocks, such as resid_post or mlp_out");
    const DirectionOptions options{.from = label_of("--from", flags.from),
                                   .to = label_of("--to", flags.to),
                                   .component = *component,
                                   .layers = as_usage([&] { return parse_range(flags.layers, "layers"); }),
                                   .method = as_usage([&] { return parse_direction_method(flags.method); }),
                                   .rows = flags.rows,
                                   .permutations = flags.permutations,
                                   .seed = flags.seed,
                                   .threads = flags.threads};
    if (!flags.out.empty()) check_output_file(flags.out, {.force = flags.force, .file = true});
    const Run run = Run::open(run_folder(flags.run));
    DirectionReport report = find_directions(run, options, progress);
    if (!flags.out.empty()) write_control_vector(flags.out, control_vector(report, report.notes));
    if (flags.json) return print_json(direction_json(report));
    print_notes(report.notes);
    say("from {} ({} rows) to {} ({} rows), {}\n{}", printable(options.from), report.n_from,
        printable(options.to), report.n_to, component_name(*component), direction_table(report));
    if (!flags.out.empty())
        say("{}: for llama-cli --control-vector, import, and an act's direction\n", flags.out);
}

}  // namespace

void add_direction(CLI::App& app, Progress& progress) {
    auto flags = std::make_shared<DirectionFlags>();
    CLI::App* command = app.add_subcommand(
        "direction", "Find the direction between two labels by layer, and write it as a control vector");
    command->add_option("RUN", flags->run, "Run folder, or a study (its text run)")->required();
    command->add_option("--from", flags->from, "label=NAME that the direction leads from")->required();
    command->add_option("--to", flags->to, "label=NAME that it leads to")->required();
    command->add_option("--component", flags->component, "Component of blocks")->capture_default_str();
    command->add_option("--layers", flags->layers, "Half-open range such as 2:9 (default: all)");
    command->add_option("--method", flags->method, "mean, probe or pca")
        ->capture_default_str()
        ->check(CLI::IsMember({"mean", "probe", "pca"}));
    command->add_option("--out", flags->out, "Control vector to write, a .gguf file");
    command->add_option("--rows", flags->rows, "At most so many rows a layer, chosen by seed")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    command->add_option("--permutations", flags->permutations, "Fits to permuted labels")
        ->capture_default_str()
        ->check(CLI::NonNegativeNumber);
    command->add_option("--threads", flags->threads, "Threads (default: all)")->check(CLI::PositiveNumber);
    command->add_option("--seed", flags->seed, "Seed of every random choice")->capture_default_str();
    command->add_flag("--json", flags->json, "Print JSON alone");
    command->add_flag("--force", flags->force, "Replace the file that --out names");
    command->callback([flags, &progress] { run_direction(*flags, progress); });
}

}  // namespace tomograph
