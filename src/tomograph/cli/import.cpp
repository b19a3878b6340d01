#include "tomograph/exchange/import.h"

#include "tomograph/base/counted.h"
#include "tomograph/base/error.h"
#include "tomograph/cli/commands.h"
#include "tomograph/cli/common.h"
#include "tomograph/cli/options.h"

namespace tomograph {
namespace {

struct ImportFlags {
    std::vector<std::string> files, sites;
    std::vector<int> layers;
    std::string out, labels;
    bool force = false;
};

Site site_of(const std::string& name) {
    const auto site = parse_site(name);
    if (!site)
        throw Error("no site is named '" + name + "'", "", "write for example blocks.3.resid_post or embed");
    return *site;
}

void import(const ImportFlags& flags, Progress& progress) {
    ImportOptions options{
        .files = {flags.files.begin(), flags.files.end()}, .layers = flags.layers, .force = flags.force};
    for (const std::string& text : flags.sites) {
        const std::size_t sign = text.find('=');
        if (sign != std::string::npos)
            options.sites.emplace_back(site_of(text.substr(0, sign)), text.substr(sign + 1));
        else if (options.site)
            throw Error("two sites for one file", "", "write --site NAME=FILE for each");
        else
            options.site = site_of(text);
    }
    options.command = this_command();
    if (!flags.labels.empty()) options.labels = flags.labels;
    const ImportSummary summary = import_vectors(options, flags.out, progress);
    print_notes(summary.notes);
    say("{}: {} in {}, {}\n", flags.out, counted(summary.n_rows, "row"),
        counted(summary.n_sequences, "sequence"), counted(summary.n_sites, "site"));
}

}  // namespace

void add_import(CLI::App& app, Progress& progress) {
    auto flags = std::make_shared<ImportFlags>();
    CLI::App* command = app.add_subcommand("import", "Make a run from vectors that were captured elsewhere");
    command->add_option("FILE", flags->files,
                        ".npy, .safetensors or a control vector (.gguf); several are sequences one after "
                        "another, of the same sites");
    command->add_option("--out", flags->out, "Run folder to write")->required();
    command->add_option("--labels", flags->labels,
                        "CSV with a line a row; columns label, sequence, position, token");
    command
        ->add_option(
            "--site", flags->sites,
            "NAME: site of a FILE that does not name its own (default: blocks.0.resid_post); NAME=FILE, "
            "repeated: several sites, one file each")
        ->allow_extra_args(false);
    command
        ->add_option(
            "--layers", flags->layers,
            "Hidden states that a FILE of many layers in one tensor holds, such as 1,2,3,4; K is the "
            "stream after K blocks (default: 1, 2, 3 and so on)")
        ->delimiter(',')
        ->allow_extra_args(false);
    command->add_flag("--force", flags->force, "Replace an existing run");
    command->callback([flags, &progress] { import(*flags, progress); });
}

}  // namespace tomograph
