#pragma once
#include <filesystem>

namespace tomograph {

/// A folder that a command fills. Until keep() is called it goes away again on failure, and what it replaces
/// comes back: a command that fails early loses nothing.
class OutputFolder {
  public:
    /// Errors: Error when `path` exists without `force`, or is not a run or a study.
    OutputFolder(std::filesystem::path path, bool force);
    ~OutputFolder();
    OutputFolder(const OutputFolder&) = delete;
    OutputFolder& operator=(const OutputFolder&) = delete;

    const std::filesystem::path& path() const { return path_; }
    /// From here on the folder stays, whatever happens; what it replaced is deleted.
    void keep();

  private:
    std::filesystem::path path_;
    std::filesystem::path replaced_;
    bool kept_ = false;
};

}  // namespace tomograph
