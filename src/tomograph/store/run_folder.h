#pragma once
#include <filesystem>

namespace tomograph {

/// A study's text run, or the path itself: what works on one run takes this of whatever it is given.
std::filesystem::path run_folder(const std::filesystem::path& path);

}  // namespace tomograph
