#include "tomograph/store/merge.h"

#include <fmt/format.h>

#include "tomograph/base/counted.h"
#include "tomograph/cli/commands.h"
#include "tomograph/cli/terminal.h"

namespace tomograph {

void add_merge(CLI::App& app, Progress& progress) {
    struct Flags {
        std::vector<std::string> runs;
        std::string out;
        bool copy = false, force = false;
    };
    auto flags = std::make_shared<Flags>();
    CLI::App* command = app.add_subcommand("merge", "Put the parts of one capture together to one run");
    command->add_option("RUN", flags->runs, "Run folders that capture --part wrote, in any order")
        ->required();
    command->add_option("--out", flags->out, "Run folder to write")->required();
    command->add_flag("--copy", flags->copy, "Copy the shards (default: hard links where there can be any)");
    command->add_flag("--force", flags->force, "Replace an existing run");
    command->callback([flags, &progress] {
        const MergeSummary summary = merge_runs(
            {flags->runs.begin(), flags->runs.end()}, flags->out,
            {.begin = flags->force ? Begin::replace : Begin::fresh, .copy = flags->copy}, progress);
        say("{}: {}, {}, {}, {}, {} linked, {} copied\n", flags->out, counted(summary.n_parts, "part"),
            counted(summary.n_sequences, "sequence"), counted(summary.n_tokens, "token"),
            counted(summary.n_shards, "shard"), bytes_text(static_cast<double>(summary.linked_bytes)),
            bytes_text(static_cast<double>(summary.copied_bytes)));
    });
}

}  // namespace tomograph
