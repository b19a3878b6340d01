#include "tomograph/store/output_folder.h"

#include <string>
#include <utility>

#include "tomograph/base/error.h"
#include "tomograph/store/run.h"

namespace tomograph {
namespace fs = std::filesystem;

OutputFolder::OutputFolder(fs::path path, bool force) : path_(std::move(path)) {
    if (!path_.has_filename()) path_ = path_.parent_path();  // "runs/one/" is "runs/one"
    check_output_folder(path_, force);
    std::error_code error;
    if (const FolderKind kind = folder_kind(path_); kind == FolderKind::run || kind == FolderKind::study) {
        const fs::path aside = path_.string() + ".replaced";
        if (folder_kind(aside) == FolderKind::other)
            throw Error("cannot replace " + path_.string(),
                        aside.string() + " is in the way, and it is not a run",
                        "move it, or name another --out");
        fs::remove_all(aside, error);
        replaced_ = aside;
        fs::rename(path_, replaced_, error);
        if (error) throw Error("cannot replace " + path_.string(), error.message(), "");
    }
    fs::create_directories(path_, error);
    if (error) {
        const std::string why = error.message();
        if (!replaced_.empty()) fs::rename(replaced_, path_, error);
        throw Error("cannot create " + path_.string(), why, "");
    }
}

OutputFolder::~OutputFolder() {
    if (kept_) return;
    std::error_code error;
    fs::remove_all(path_, error);
    if (!replaced_.empty()) fs::rename(replaced_, path_, error);
}

void OutputFolder::keep() {
    if (kept_) return;
    kept_ = true;
    std::error_code error;
    if (!replaced_.empty()) fs::remove_all(replaced_, error);
}

}  // namespace tomograph
