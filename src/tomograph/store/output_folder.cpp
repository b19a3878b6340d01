#include "tomograph/store/output_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/store/layout.h"

namespace tomograph {
namespace fs = std::filesystem;
namespace {

const char* kind_name(FolderKind kind) {
    return kind == FolderKind::study ? "study" : "run";
}

/// "runs/one/" is "runs/one", and a link is what it points to: what is replaced is the folder, not the link.
fs::path target_of(fs::path path) {
    if (!path.has_filename()) path = path.parent_path();
    std::error_code error;
    if (path.filename() == "." || path.filename() == ".." || fs::is_symlink(path, error)) {
        const fs::path real = fs::canonical(path, error);
        if (!error) return real;
    }
    return path;
}

fs::path beside(const fs::path& path, const char* ending) {
    return path.string() + ending;
}

/// Earlier versions put what they replaced aside under this name; where they were killed it is still there.
bool was_put_aside(const fs::path& path) {
    const FolderKind aside = folder_kind(beside(path, ".replaced"));
    return aside == FolderKind::run || aside == FolderKind::study;
}

/// Does the folder say that it is complete?
bool is_whole(const fs::path& folder) {
    for (const char* name : {layout::kRun, layout::kStudy}) {
        std::error_code error;
        if (!fs::exists(folder / name, error)) continue;
        try {
            const Json json = read_json(folder / name);
            return json.is_object() && json.value("status", Json()) == "complete";
        } catch (const Error&) {
            return false;
        }
    }
    return false;
}

/// The descriptions go first: what is left of a killed deletion does not look whole.
void remove_contents(const fs::path& folder) {
    std::error_code error;
    for (const char* name : {layout::kRun, layout::kStudy, layout::kPlan}) fs::remove(folder / name, error);
    for (const auto& entry : fs::directory_iterator(folder, error)) fs::remove_all(entry.path(), error);
}

#ifdef RENAME_EXCHANGE
bool exchange(const fs::path& a, const fs::path& b) {
    return ::renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) == 0;
}
#else
bool exchange(const fs::path&, const fs::path&) {
    errno = ENOSYS;
    return false;
}
#endif

}  // namespace

FolderKind folder_kind(const fs::path& path) {
    std::error_code error;
    if (!fs::exists(path, error)) return FolderKind::none;
    if (!fs::is_directory(path, error)) return FolderKind::other;
    if (fs::exists(path / layout::kRun, error) || fs::exists(path / layout::kPlan, error))
        return FolderKind::run;
    if (fs::exists(path / layout::kStudy, error)) return FolderKind::study;
    const fs::directory_iterator entries(path, error);
    if (error) return FolderKind::other;
    return std::all_of(begin(entries), end(entries),
                       [](const fs::directory_entry& entry) { return is_temporary(entry.path()); })
               ? FolderKind::none
               : FolderKind::other;
}

void check_output_folder(const fs::path& path, FolderKind kind, Begin begin) {
    const FolderKind there = folder_kind(path);
    const fs::path target = target_of(path);
    if (there == FolderKind::none) {
        if (begin == Begin::fresh && was_put_aside(target))
            throw Error(fmt::format("{} was being replaced when its writer was killed", path.string()),
                        fmt::format("what it was is in {}.replaced", target.string()),
                        fmt::format("bring it back with: mv {0}.replaced {0}; or name another --out",
                                    target.string()));
        return;
    }
    if (there == FolderKind::other)
        throw Error(fmt::format("{} exists and is not a {}", path.string(), kind_name(kind)),
                    "it will not be deleted, with --force neither", "name another --out");
    if (begin == Begin::fresh)
        throw Error(path.string() + " exists", "", "use --force to replace it, or name another --out");
    if (there != kind)
        throw Error(fmt::format("{} is a {}", path.string(), kind_name(there)),
                    begin == Begin::resume
                        ? fmt::format("a {} cannot go on in it", kind_name(kind))
                        : fmt::format("--force replaces it by another {} only", kind_name(there)),
                    "name another --out");
}

FolderLock::FolderLock(const fs::path& folder) {
    while (true) {
        descriptor_ = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (descriptor_ < 0) throw Error("cannot open " + folder.string(), std::strerror(errno), "");
        if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
            ::close(std::exchange(descriptor_, -1));
            throw Error("another tomograph is writing " + folder.string(), "",
                        "wait for it to end, or name another --out");
        }
        // Whoever held it may have put another folder in its place.
        struct stat held{}, named{};
        if (::fstat(descriptor_, &held) == 0 && ::stat(folder.c_str(), &named) == 0 &&
            held.st_ino == named.st_ino && held.st_dev == named.st_dev)
            return;
        ::close(std::exchange(descriptor_, -1));
    }
}

FolderLock::~FolderLock() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

FolderLock::FolderLock(FolderLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

FolderLock& FolderLock::operator=(FolderLock&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
}

OutputFolder::OutputFolder(fs::path path, FolderKind kind, Begin begin)
    : target_(target_of(std::move(path))) {
    std::error_code error;
    if (!fs::exists(target_, error) && begin != Begin::fresh && was_put_aside(target_))
        fs::rename(beside(target_, ".replaced"), target_, error);
    check_output_folder(target_, kind, begin);
    const auto make = [&](const fs::path& folder) {
        const bool made = fs::create_directories(folder, error);
        if (error) throw Error("cannot create " + folder.string(), error.message(), "");
        return made;
    };
    const FolderKind there = folder_kind(target_);
    if (there == FolderKind::none || begin == Begin::resume) {
        path_ = target_;
        made_ = make(path_);
        lock_ = FolderLock(path_);
        // Between the look and the lock another writer may have come and gone.
        check_output_folder(target_, kind, begin);
        kept_ = there != FolderKind::none;
        remove_abandoned(path_);
        return;
    }
    replaced_lock_ = FolderLock(target_);
    path_ = beside(target_, ".partial");
    if (folder_kind(path_) == FolderKind::other || is_whole(path_))
        throw Error("cannot replace " + target_.string(),
                    fmt::format("{} is in the way, and it is {}", path_.string(),
                                is_whole(path_) ? "whole" : fmt::format("not a {}", kind_name(kind))),
                    "move it, or name another --out");
    made_ = true;
    make(path_);
    lock_ = FolderLock(path_);
    remove_contents(path_);  // of a writer that was killed before it had anything whole
}

OutputFolder::~OutputFolder() {
    if (kept_) return;
    std::error_code error;
    remove_contents(path_);
    if (made_) fs::remove(path_, error);
}

void OutputFolder::keep() {
    if (kept_) return;
    if (path_ != target_) {
        std::error_code error;
        if (!exchange(path_, target_)) {
            // No exchange on this file system: for a moment the name is free, and what it named stands aside.
            const fs::path aside = beside(target_, ".replaced");
            if (fs::exists(aside, error))
                throw Error("cannot replace " + target_.string(), aside.string() + " is in the way",
                            "move it, or name another --out");
            fs::rename(target_, aside, error);
            if (!error) {
                fs::rename(path_, target_, error);
                if (error) {
                    const std::string why = error.message();
                    fs::rename(aside, target_, error);
                    throw Error("cannot replace " + target_.string(), why, "");
                }
                fs::remove_all(aside, error);
            } else {
                throw Error("cannot replace " + target_.string(), error.message(), "");
            }
        } else {
            remove_contents(path_);
            fs::remove(path_, error);
        }
        path_ = target_;
        replaced_lock_ = FolderLock();
        sync_folder(fs::absolute(target_, error).parent_path());
    }
    kept_ = true;
}

}  // namespace tomograph
