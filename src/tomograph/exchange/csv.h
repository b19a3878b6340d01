#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace tomograph {

/// A CSV file's columns by name (RFC 4180: quotes, doubled quotes, line breaks inside quotes).
/// Errors: Error naming the line that has another number of fields than the header, or an open quote.
std::map<std::string, std::vector<std::string>> read_csv(const std::filesystem::path& path);

/// A field as CSV wants it: quoted where it holds a comma, a quote, a line break or an edge space.
std::string csv_field(const std::string& text);

}  // namespace tomograph
