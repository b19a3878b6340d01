#pragma once
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace tomograph {

/// A table of text. Every line has as many fields as the header.
struct Csv {
    std::vector<std::string> header;
    std::vector<std::vector<std::string>> columns;  ///< [column][line]
    std::vector<std::size_t> lines;                 ///< the line of the file on which each begins, from 1
};

/// RFC 4180: quotes, doubled quotes, line breaks inside quotes. Also what spreadsheets write: a byte-order
/// mark, and semicolons or tabs between fields where the header holds no comma. Empty lines are passed over.
/// Errors: Error that names `name` and the line: another number of fields than the header, an open quote,
/// text behind a closed one, UTF-16.
Csv parse_csv(std::string_view text, const std::string& name);
Csv read_csv(const std::filesystem::path& path);

}  // namespace tomograph
