#include "tomograph/exchange/export.h"

#include <fmt/format.h>

#include "tomograph/cli/commands.h"

namespace tomograph {

void add_export(CLI::App& app) {
    struct Flags {
        std::string run, name, format, out;
    };
    auto flags = std::make_shared<Flags>();
    CLI::App* command =
        app.add_subcommand("export", "Write a projection or a site's vectors for other programs");
    command->add_option("RUN", flags->run, "Run folder")->required();
    command->add_option("NAME", flags->name, "A projection, or a site such as blocks.3.attn_out")->required();
    command->add_option("--format", flags->format, "csv, npy or projector (a folder)")
        ->required()
        ->check(CLI::IsMember({"csv", "npy", "projector"}));
    command->add_option("--out", flags->out, "File or folder to write")->required();
    command->callback([flags] {
        const Run run = Run::open(flags->run);
        export_rows(run, flags->name, parse_export_format(flags->format), flags->out);
        fmt::print("{}\n", flags->out);
    });
}

}  // namespace tomograph
