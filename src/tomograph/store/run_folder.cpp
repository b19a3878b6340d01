#include "tomograph/store/run_folder.h"

#include "tomograph/store/run.h"

namespace tomograph {

std::filesystem::path run_folder(const std::filesystem::path& path) {
    return folder_kind(path) == FolderKind::study ? path / "text" : path;
}

}  // namespace tomograph
