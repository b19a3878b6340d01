#include <fmt/format.h>

#include "tomograph/base/output.h"
#include "tomograph/cli/commands.h"
#include "tomograph/cli/terminal.h"
#include "tomograph/sources/converter.h"

namespace tomograph {

void add_convert(CLI::App& app, Progress& progress) {
    struct Flags {
        std::string folder, out, type = "auto", python;
        bool force = false;
    };
    auto flags = std::make_shared<Flags>();
    CLI::App* command = app.add_subcommand("convert", "Write a model folder of Hugging Face as a GGUF file");
    command->add_option("FOLDER", flags->folder, "Folder with config.json, weights and tokenizer")
        ->required();
    command->add_option("--out", flags->out, "GGUF file to write")->required();
    command
        ->add_option("--type", flags->type,
                     "f32, f16, bf16, q8_0 or auto: 16 bits of the kind that keeps most")
        ->capture_default_str()
        ->check(CLI::IsMember({"auto", "f32", "f16", "bf16", "q8_0"}));
    command->add_option("--python", flags->python,
                        "A Python that has torch, transformers, sentencepiece, numpy and pyyaml (default: an "
                        "environment in the cache folder, made once)");
    command->add_flag("--force", flags->force, "Replace an existing file");
    command->callback([flags, &progress] {
        check_output_file(flags->out, {.force = flags->force, .file = true});
        convert_model(flags->folder, flags->out,
                      {.type = flags->type,
                       .python = flags->python,
                       .announce = [](const std::string& what) { warn("note: {}\n", what); }},
                      progress);
        say("{}: {}\n", flags->out, bytes_text(static_cast<double>(std::filesystem::file_size(flags->out))));
    });
}

}  // namespace tomograph
