#pragma once
#include <filesystem>
#include <nlohmann/json.hpp>

namespace tomograph {

/// Keys keep the order in which they were written: files read as they were meant.
using Json = nlohmann::ordered_json;

/// Errors: Error when the file is missing or is not JSON, with its path.
Json read_json(const std::filesystem::path& path);

/// Appears under its final name complete or not at all. Bytes that are not UTF-8 are replaced.
void write_json(const std::filesystem::path& path, const Json& json);

}  // namespace tomograph
