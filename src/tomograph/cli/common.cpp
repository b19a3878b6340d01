#include "tomograph/cli/common.h"

#include <fmt/format.h>

#include "tomograph/store/run.h"

namespace tomograph {

std::filesystem::path run_folder(const std::filesystem::path& path) {
    return folder_kind(path) == FolderKind::study ? path / "text" : path;
}

void print_json(const Json& json) {
    fmt::print("{}\n", json_text(json, 1));
}

}  // namespace tomograph
