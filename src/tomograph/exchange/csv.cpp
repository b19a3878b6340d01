#include "tomograph/exchange/csv.h"

#include <fmt/format.h>

#include "tomograph/base/error.h"
#include "tomograph/base/file.h"

namespace tomograph {

std::map<std::string, std::vector<std::string>> read_csv(const std::filesystem::path& path) {
    const std::string text = read_file(path);
    std::vector<std::vector<std::string>> lines(1);
    std::string field;
    bool quoted = false;
    const auto end_field = [&] {
        lines.back().push_back(field);
        field.clear();
    };
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (quoted) {
            if (c == '"' && i + 1 < text.size() && text[i + 1] == '"')
                field += text[++i];
            else if (c == '"')
                quoted = false;
            else
                field += c;
        } else if (c == '"' && field.empty()) {
            quoted = true;
        } else if (c == ',') {
            end_field();
        } else if (c == '\n') {
            end_field();
            lines.emplace_back();
        } else if (c != '\r') {
            field += c;
        }
    }
    if (quoted) throw Error(path.string() + " is no CSV file", "a quote is never closed", "");
    if (!field.empty() || !lines.back().empty()) end_field();
    if (lines.back().empty()) lines.pop_back();
    if (lines.empty()) throw Error(path.string() + " is empty", "", "its first line names the columns");
    std::map<std::string, std::vector<std::string>> columns;
    for (std::size_t line = 1; line < lines.size(); ++line) {
        if (lines[line].size() == lines[0].size()) continue;
        throw Error(fmt::format("line {} of {} has {} fields", line + 1, path.string(), lines[line].size()),
                    fmt::format("the header has {}", lines[0].size()), "");
    }
    for (std::size_t column = 0; column < lines[0].size(); ++column) {
        auto& values = columns[lines[0][column]];
        for (std::size_t line = 1; line < lines.size(); ++line) values.push_back(lines[line][column]);
    }
    return columns;
}

std::string csv_field(const std::string& text) {
    const bool plain = text.empty() || (text.find_first_of(",\"\r\n") == std::string::npos &&
                                        text.front() != ' ' && text.back() != ' ');
    if (plain) return text;
    std::string quoted = "\"";
    for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
    return quoted + '"';
}

}  // namespace tomograph
