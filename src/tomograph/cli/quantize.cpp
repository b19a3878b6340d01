#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tomograph/base/output.h"
#include "tomograph/cli/commands.h"
#include "tomograph/cli/model_source.h"
#include "tomograph/cli/options.h"
#include "tomograph/cli/terminal.h"
#include "tomograph/model/quantize.h"

namespace tomograph {

void add_quantize(CLI::App& app, Progress& progress) {
    struct Flags {
        std::string model, type, out;
        int threads = 0;
        bool force = false;
    };
    auto flags = std::make_shared<Flags>();
    CLI::App* command = app.add_subcommand("quantize", "Write a model with other weight types");
    command->add_option("MODEL", flags->model, kModelHelp)->required();
    command
        ->add_option("--type", flags->type,
                     fmt::format("{}; large letters will do", fmt::join(quantized_types(), ", ")))
        ->required();
    command->add_option("--out", flags->out, "GGUF file to write")->required();
    command->add_option("--threads", flags->threads, "Threads (default: all)")->check(CLI::PositiveNumber);
    command->add_flag("--force", flags->force, "Replace an existing file");
    command->callback([flags, &progress] {
        as_usage([&] { check_quantized_type(flags->type); });
        check_output_file(flags->out, {.force = flags->force, .file = true});
        print_notes(
            quantize(find_model(flags->model, progress), flags->out, flags->type, flags->threads, progress));
        say("{}: {}\n", flags->out, bytes_text(static_cast<double>(std::filesystem::file_size(flags->out))));
    });
}

}  // namespace tomograph
