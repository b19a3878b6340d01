#pragma once
#include <filesystem>

namespace tomograph {

/// A folder for what is derived from a run, made where it is missing. Errors: Error with the path and the
/// reason (read-only, disk full).
void make_run_folder(const std::filesystem::path& path);

}  // namespace tomograph
