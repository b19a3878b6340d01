#include "tomograph/serve/folder.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <set>
#include <span>

#include "tomograph/base/contained.h"
#include "tomograph/base/error.h"
#include "tomograph/base/file.h"

namespace tomograph {
namespace fs = std::filesystem;
namespace {

/// What a run says of itself: once it is whole, and before.
constexpr const char* kDescriptions[] = {"run.json", "plan.json"};

}  // namespace

std::string digest(const std::string& text) {
    return xxh3_128(std::as_bytes(std::span(text))).substr(0, 16);
}

std::string file_version(const fs::path& file) {
    struct stat status{};
    if (::stat(file.c_str(), &status) != 0) return {};
    return digest(fmt::format("{}/{}/{}/{}.{}/{}.{}", status.st_dev, status.st_ino, status.st_size,
                              status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ctim.tv_sec,
                              status.st_ctim.tv_nsec));
}

std::string run_version(const fs::path& folder) {
    if (folder_kind(folder) != FolderKind::run) return {};
    std::string versions;
    for (const char* name : kDescriptions) versions += file_version(folder / name) + " ";
    // Numbers of its tokens are computed and shown beside what was captured.
    std::set<std::string> numbers;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(folder / "numbers", none))
        numbers.insert(entry.path().filename().string() + " " + file_version(entry.path()));
    for (const std::string& one : numbers) versions += one + " ";
    return digest(versions);
}

std::string capture_version(const fs::path& folder) {
    const std::string planned = file_version(folder / "plan.json");
    return planned.empty() ? file_version(folder / "run.json") : planned;
}

std::shared_ptr<const Run> open_run(const fs::path& folder) {
    if (folder_kind(folder) == FolderKind::run) {
        for (const char* name : kDescriptions) {
            if (fs::exists(folder / name)) contained_file(folder, name);
        }
        // Links are followed: a run's vectors may well lie on another disk.
        for (const auto& entry : fs::recursive_directory_iterator(folder)) {
            std::error_code error;
            const fs::file_status status = entry.status(error);
            if (!fs::is_regular_file(status) && !fs::is_directory(status) && fs::exists(status))
                throw Error("cannot open " + entry.path().string(), "it is neither a file nor a folder", "");
        }
    }
    return std::make_shared<const Run>(Run::open(folder));
}

}  // namespace tomograph
