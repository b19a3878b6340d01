#include "tomograph/store/verify.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "tomograph/base/error.h"
#include "tomograph/cli/commands.h"
#include "tomograph/cli/terminal.h"
#include "tomograph/store/run.h"

namespace tomograph {
namespace {

/// The runs of a study, or the run itself. Errors: Error for anything else.
std::vector<std::filesystem::path> runs_of(const std::filesystem::path& path) {
    switch (folder_kind(path)) {
        case FolderKind::run:
            return {path};
        case FolderKind::study: {
            std::vector<std::filesystem::path> runs;
            for (const Json& name : read_json(path / "study.json").value("runs", Json::array())) {
                if (!name.is_string() || std::filesystem::path(name.get<std::string>()).has_parent_path())
                    throw Error((path / "study.json").string() + " names a run that is none of its folders",
                                json_text(name), "make the study again");
                runs.push_back(path / name.get<std::string>());
            }
            return runs;
        }
        default:
            throw Error(path.string() + " is no run and no study", "only those have checksums", "");
    }
}

void verify(const std::filesystem::path& path, Progress& progress) {
    std::vector<std::string> damaged;
    for (const auto& run : runs_of(path)) {
        const Verification found = verify_run(run, progress);
        for (const auto& fault : found.faults) {
            say("{}: {}\n", (run / fault.file).string(), fault.what);
            damaged.push_back((run / fault.file).string());
        }
        if (found.faults.empty())
            say("{}: {} files, {}, all as they were written\n", run.string(), found.n_files,
                bytes_text(static_cast<double>(found.bytes)));
    }
    if (damaged.empty()) return;
    constexpr std::size_t kNamed = 3;
    const std::size_t n = damaged.size();
    if (n > kNamed) damaged.resize(kNamed);
    throw Error(path.string() + " is damaged",
                fmt::format("{}{}", fmt::join(damaged, ", "),
                            n > kNamed ? fmt::format(" and {} more", n - kNamed) : ""),
                "copy what is damaged again; or delete a damaged shard's .json and capture with --resume");
}

}  // namespace

void add_verify(CLI::App& app, Progress& progress) {
    auto path = std::make_shared<std::string>();
    CLI::App* command =
        app.add_subcommand("verify", "Read every byte of a run or a study and compare it with its checksum");
    command->add_option("RUN", *path, "Run or study folder")->required();
    command->callback([path, &progress] { verify(*path, progress); });
}

}  // namespace tomograph
