#pragma once
#include <filesystem>
#include <string>

namespace tomograph {

/// A file of a run that appears whole or not at all. `durable`: its bytes reach the disk itself before its
/// name; the name does with sync_folder().
void write_text(const std::filesystem::path& path, const std::string& text, bool durable);

}  // namespace tomograph
