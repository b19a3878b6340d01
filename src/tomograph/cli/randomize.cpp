#include "tomograph/model/randomize.h"

#include <fmt/format.h>

#include "tomograph/base/output.h"
#include "tomograph/cli/commands.h"
#include "tomograph/cli/model_source.h"
#include "tomograph/cli/terminal.h"

namespace tomograph {

void add_randomize(CLI::App& app, Progress& progress) {
    struct Flags {
        std::string model, out, keep = "scale";
        std::uint64_t seed = 42;
        int threads = 0;
        bool force = false;
    };
    auto flags = std::make_shared<Flags>();
    CLI::App* command = app.add_subcommand(
        "randomize",
        "Write an untrained twin of a model, random weights in its shapes: a control for measure");
    command->add_option("MODEL", flags->model, kModelHelp)->required();
    command->add_option("--out", flags->out, "GGUF file to write")->required();
    command
        ->add_option(
            "--keep", flags->keep,
            "What each matrix keeps: scale (Gaussian values of its root mean square) or spectrum (its "
            "singular values, the bases random)")
        ->capture_default_str()
        ->check(CLI::IsMember({"scale", "spectrum"}));
    command->add_option("--seed", flags->seed, "Seed of the weights")->capture_default_str();
    command->add_option("--threads", flags->threads, "Threads (default: all)")->check(CLI::PositiveNumber);
    command->add_flag("--force", flags->force, "Replace an existing file");
    command->callback([flags, &progress] {
        check_output_file(flags->out, {.force = flags->force, .file = true});
        const RandomizeSummary summary =
            randomize(find_model(flags->model, progress), flags->out,
                      {.keep = flags->keep == "spectrum" ? TwinKeeps::spectrum : TwinKeeps::scale,
                       .seed = flags->seed,
                       .threads = flags->threads});
        say("{}: {} tensors, {}\n", flags->out, summary.n_tensors,
            bytes_text(static_cast<double>(std::filesystem::file_size(flags->out))));
        if (!summary.widened.empty())
            warn("note: {} tensors of a type that needs calibration data became F16\n",
                 summary.widened.size());
    });
}

}  // namespace tomograph
