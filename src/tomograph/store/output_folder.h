#pragma once
#include <filesystem>
#include <string>

namespace tomograph {

/// What `path` is. An empty folder, or one that holds nothing but what a killed writer left before it began,
/// is none.
enum class FolderKind { none, run, study, other };
FolderKind folder_kind(const std::filesystem::path& path);

/// How an output folder is begun.
enum class Begin {
    fresh,    ///< refused where anything is
    replace,  ///< --force: a run replaces a run, a study a study, nothing else
    resume,   ///< --resume: go on in a folder of the same kind, or begin
};

/// Refuse an output folder that may not be written, before any work. `kind`: run or study. Nothing is
/// changed. Errors: Error with the mend.
void check_output_folder(const std::filesystem::path& path, FolderKind kind, Begin begin);

/// Holds a folder for one writer: another one, of this process or any other, is refused while it lives. Gone
/// with its process, however that ends. On a file system without locks it holds nothing.
class FolderLock {
  public:
    FolderLock() = default;
    /// Errors: Error when another writer holds the folder, or it cannot be opened.
    explicit FolderLock(const std::filesystem::path& folder);
    ~FolderLock();
    FolderLock(FolderLock&& other) noexcept;
    FolderLock& operator=(FolderLock&& other) noexcept;

  private:
    int descriptor_ = -1;
};

/// A folder that a command fills, held against other writers for as long as this lives. Until keep() is
/// called it goes away again on failure, and what it replaces stays where it is: the new folder grows beside
/// it, as NAME.partial, and takes its place in keep(). So a command that fails or is killed early loses
/// nothing.
class OutputFolder {
  public:
    /// Errors: as check_output_folder; Error when another process writes there, or the folder cannot be made.
    OutputFolder(std::filesystem::path path, FolderKind kind, Begin begin);
    ~OutputFolder();
    OutputFolder(const OutputFolder&) = delete;
    OutputFolder& operator=(const OutputFolder&) = delete;

    /// Where to write: changes in keep() where the folder replaces another.
    const std::filesystem::path& path() const { return path_; }
    /// Does it replace another folder that is still there?
    bool replaces() const { return !kept_ && path_ != target_; }
    /// From here on the folder stays, whatever happens, under its own name; what it replaced is deleted.
    /// Errors: Error when it cannot take its place.
    void keep();

  private:
    std::filesystem::path target_, path_;
    FolderLock lock_, replaced_lock_;
    bool made_ = false;  // the folder itself is ours, not only what is in it
    bool kept_ = false;
};

}  // namespace tomograph
