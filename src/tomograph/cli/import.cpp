#include "tomograph/exchange/import.h"

#include <fmt/format.h>

#include "tomograph/base/error.h"
#include "tomograph/cli/commands.h"
#include "tomograph/cli/common.h"

namespace tomograph {

void add_import(CLI::App& app, Progress& progress) {
    struct Flags {
        std::string matrix, out, labels, site = "blocks.0.resid_post";
        bool force = false;
    };
    auto flags = std::make_shared<Flags>();
    CLI::App* command = app.add_subcommand("import", "Make a run from vectors that were captured elsewhere");
    command->add_option("X.npy", flags->matrix, "Matrix of float32 or float16, one vector a row")->required();
    command->add_option("--out", flags->out, "Run folder to write")->required();
    command->add_option("--labels", flags->labels,
                        "CSV with a line a row; columns label, sequence, position, token");
    command->add_option("--site", flags->site, "Site under which the vectors are filed")
        ->capture_default_str();
    command->add_flag("--force", flags->force, "Replace an existing run");
    command->callback([flags, &progress] {
        const auto site = parse_site(flags->site);
        if (!site)
            throw Error("no site is named '" + flags->site + "'", "",
                        "write for example blocks.3.resid_post or embed");
        ImportOptions options{.site = *site, .force = flags->force, .command = this_command()};
        if (!flags->labels.empty()) options.labels = flags->labels;
        fmt::print("{}: {} rows\n", flags->out, import_matrix(flags->matrix, flags->out, options, progress));
    });
}

}  // namespace tomograph
