// What is there, and keeping order in it: list, remove, rename.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "tomograph/base/error.h"
#include "tomograph/base/text.h"
#include "tomograph/cli/commands.h"
#include "tomograph/cli/common.h"
#include "tomograph/cli/terminal.h"
#include "tomograph/maps/projection.h"
#include "tomograph/store/output_folder.h"
#include "tomograph/store/run.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;

std::uint64_t size_of(const fs::path& folder) {
    std::uint64_t bytes = 0;
    std::error_code error;
    for (fs::recursive_directory_iterator entry(folder, error), end; entry != end; entry.increment(error)) {
        if (error) break;
        if (std::error_code unknown; entry->is_regular_file(unknown)) bytes += entry->file_size(unknown);
    }
    return bytes;
}

/// What `path` holds, one object; null where that is no run and no study.
Json describe_folder(const fs::path& path) {
    const FolderKind kind = folder_kind(path);
    if (kind != FolderKind::run && kind != FolderKind::study) return nullptr;
    Json line = {{"path", path.string()},
                 {"kind", kind == FolderKind::run ? "run" : "study"},
                 {"bytes", size_of(path)}};
    try {
        if (kind == FolderKind::run) {
            const Run run = Run::open(path);
            line["model"] = run.model_name();
            line["what"] = fmt::format("{}, {} × {}{}", run.prompts(), run.n_sequences(), run.length(),
                                       run.complete() ? "" : ", incomplete");
            line["projections"] = projection_names(run);
        } else {
            const Json study = read_json(path / "study.json");
            line["model"] = study.at("model").value("name", "?");
            line["what"] = fmt::format("{} runs{}", study.at("runs").size(),
                                       study.value("status", "") == "complete" ? "" : ", incomplete");
            line["projections"] = Json::array();
        }
    } catch (const std::exception& e) {
        line["model"] = "?";
        line["what"] = std::string("cannot be read: ") + e.what();
        line["projections"] = Json::array();
    }
    return line;
}

void list(const fs::path& folder, bool json) {
    std::error_code error;
    std::vector<fs::path> paths;
    for (const auto& entry : fs::directory_iterator(folder, error)) {
        if (std::error_code unknown; entry.is_directory(unknown)) paths.push_back(entry.path());
    }
    if (error) throw Error("cannot list " + folder.string(), error.message(), "name a folder");
    std::sort(paths.begin(), paths.end());
    Json lines = Json::array();
    for (const fs::path& path : paths) {
        if (Json line = describe_folder(path); !line.is_null()) lines.push_back(std::move(line));
    }
    if (json) return print_json(lines);
    if (lines.empty())
        return say("no run and no study in {}; capture and run make them\n", printable(folder.string()));
    for (const Json& line : lines) {
        const auto names = line.at("projections").get<std::vector<std::string>>();
        say("{:<24} {:<6} {:>9}  {}, {}{}\n",
            fs::path(line.at("path").get<std::string>()).filename().string(),
            line.at("kind").get<std::string>(),
            bytes_text(static_cast<double>(line.at("bytes").get<std::uint64_t>())),
            printable(line.at("model").get<std::string>()), printable(line.at("what").get<std::string>()),
            names.empty() ? "" : fmt::format("; projections {}", fmt::join(names, ", ")));
    }
}

}  // namespace

void add_list(CLI::App& app) {
    struct Flags {
        std::string folder = ".";
        bool json = false;
    };
    auto flags = std::make_shared<Flags>();
    CLI::App* command = app.add_subcommand("list", "List the runs and studies of a folder");
    command->add_option("FOLDER", flags->folder, "Folder that holds them")->capture_default_str();
    command->add_flag("--json", flags->json, "Print JSON alone");
    command->callback([flags] { list(flags->folder, flags->json); });
}

void add_remove(CLI::App& app) {
    struct Flags {
        std::string run;
        std::vector<std::string> names;
    };
    auto flags = std::make_shared<Flags>();
    CLI::App* command = app.add_subcommand("remove", "Delete projections of a run");
    command->add_option("RUN", flags->run, "Run folder")->required();
    command->add_option("PROJECTION", flags->names, "Names of projections")->required();
    command->callback([flags] {
        const Run run = Run::open(flags->run);
        // All or nothing: a slip in the second name must not cost the first.
        for (const std::string& name : flags->names) check_projection(run, name);
        for (const std::string& name : flags->names) {
            remove_projection(run, name);
            say("{} is deleted\n", name);
        }
    });
}

void add_rename(CLI::App& app) {
    struct Flags {
        std::string run, from, to;
    };
    auto flags = std::make_shared<Flags>();
    CLI::App* command = app.add_subcommand("rename", "Give a projection of a run another name");
    command->add_option("RUN", flags->run, "Run folder")->required();
    command->add_option("FROM", flags->from, "Name of a projection")->required();
    command->add_option("TO", flags->to, "Its new name")->required();
    command->callback([flags] {
        rename_projection(Run::open(flags->run), flags->from, flags->to);
        say("{} is {} now\n", flags->from, flags->to);
    });
}

}  // namespace tomograph
