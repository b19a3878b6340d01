#include "tomograph/exchange/csv.h"

#include <fmt/format.h>

#include "tomograph/base/counted.h"
#include "tomograph/base/error.h"
#include "tomograph/base/file.h"

namespace tomograph {
namespace {

/// What stands between the fields: a comma, or what the header has in its place.
char separator_of(std::string_view text) {
    bool quoted = false;
    char found = ',';
    for (const char c : text) {
        if (c == '"') quoted = !quoted;
        if (quoted) continue;
        if (c == ',') return ',';
        if (c == '\n' || c == '\r') break;
        if ((c == ';' || c == '\t') && found == ',') found = c;
    }
    return found;
}

/// Cuts a text into lines of fields.
class Cutter {
  public:
    Cutter(std::string_view text, const std::string& name)
        : text_(text), name_(name), separator_(separator_of(text)) {}

    /// The next line that is not empty; false at the end. `line`: where it began.
    bool next(std::vector<std::string>& fields, std::size_t& line) {
        while (at_ < text_.size() && ends_line()) skip_line_end();
        if (at_ == text_.size()) return false;
        line = line_;
        fields.clear();
        for (;;) {
            fields.push_back(field());
            if (at_ == text_.size()) return true;
            if (ends_line()) {
                skip_line_end();
                return true;
            }
            ++at_;  // the separator
        }
    }

  private:
    bool ends_line() const { return text_[at_] == '\n' || text_[at_] == '\r'; }
    void skip_line_end() {
        at_ += text_.substr(at_).starts_with("\r\n") ? 2 : 1;
        ++line_;
    }
    std::string field() {
        std::string value;
        if (at_ == text_.size() || text_[at_] != '"') {
            while (at_ < text_.size() && text_[at_] != separator_ && !ends_line()) value += text_[at_++];
            return value;
        }
        const std::size_t opened = line_;
        for (++at_; at_ < text_.size(); ++at_) {
            if (text_[at_] == '\n') ++line_;
            if (text_[at_] != '"') {
                value += text_[at_];
                continue;
            }
            if (!text_.substr(at_).starts_with("\"\"")) break;
            value += text_[at_++];
        }
        if (at_ == text_.size())
            throw Error(name_ + " is no CSV file",
                        fmt::format("the quote that line {} opens is never closed", opened), "");
        ++at_;
        if (at_ < text_.size() && text_[at_] != separator_ && !ends_line())
            throw Error(fmt::format("line {} of {} has text behind a closing quote", line_, name_), "",
                        "double the quotes that belong to a field");
        return value;
    }

    std::string_view text_;
    const std::string& name_;
    char separator_;
    std::size_t at_ = 0, line_ = 1;
};

}  // namespace

Csv parse_csv(std::string_view text, const std::string& name) {
    if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff"))
        throw Error(name + " is UTF-16", "", "save it as UTF-8");
    if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
    Cutter cutter(text, name);
    Csv table;
    std::size_t line = 0;
    if (!cutter.next(table.header, line))
        throw Error(name + " is empty", "", "its first line names the columns");
    table.columns.resize(table.header.size());
    std::vector<std::string> fields;
    while (cutter.next(fields, line)) {
        if (fields.size() != table.header.size())
            throw Error(fmt::format("line {} of {} has {}", line, name, counted(fields.size(), "field")),
                        fmt::format("the header has {}", table.header.size()), "");
        table.lines.push_back(line);
        for (std::size_t i = 0; i < fields.size(); ++i) table.columns[i].push_back(std::move(fields[i]));
    }
    return table;
}

Csv read_csv(const std::filesystem::path& path) {
    const MappedFile file(path);
    return parse_csv({reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()},
                     path.string());
}

}  // namespace tomograph
