#include "tomograph/exchange/export.h"

#include <fmt/format.h>

#include "tomograph/base/output.h"
#include "tomograph/cli/commands.h"

namespace tomograph {

void add_export(CLI::App& app) {
    struct Flags {
        std::string run, name, format, out;
        bool force = false;
    };
    auto flags = std::make_shared<Flags>();
    CLI::App* command =
        app.add_subcommand("export", "Write a projection or a site's vectors for other programs");
    command->add_option("RUN", flags->run, "Run folder")->required();
    command->add_option("NAME", flags->name, "A projection, or a site such as blocks.3.attn_out")->required();
    command->add_option("--format", flags->format, "csv, npy or projector (a folder)")
        ->required()
        ->check(CLI::IsMember({"csv", "npy", "projector"}));
    command->add_option("--out", flags->out, "File to write (-: standard output), or folder for projector")
        ->required();
    command->add_flag("--force", flags->force, "Replace existing files");
    command->callback([flags] {
        const ExportFormat format = parse_export_format(flags->format);
        bool in_the_way = false;  // would what is said here stand among the rows?
        for (const auto& file : export_files(format, flags->out))
            in_the_way |= check_output_file(file, {.force = flags->force}).is_standard_output();
        const Run run = Run::open(flags->run);
        export_rows(run, flags->name, format, flags->out);
        if (!in_the_way) say("{}\n", flags->out);
    });
}

}  // namespace tomograph
