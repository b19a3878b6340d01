#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "tomograph/base/file.h"

namespace tomograph::test {

/// What a writer that was interrupted would leave.
inline std::vector<std::filesystem::path> temporaries_in(const std::filesystem::path& folder) {
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
        const std::string name = entry.path().filename().string();
        if (name.ends_with(".tmp") || name.ends_with(".partial")) found.push_back(entry.path());
    }
    return found;
}

inline bool is_png(const std::filesystem::path& path) {
    return read_file(path).starts_with("\x89PNG\r\n\x1a\n");
}

}  // namespace tomograph::test
