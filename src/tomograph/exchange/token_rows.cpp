#include "tomograph/exchange/token_rows.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <map>

#include "tomograph/base/closest.h"
#include "tomograph/base/error.h"
#include "tomograph/base/text.h"
#include "tomograph/exchange/csv.h"

namespace tomograph {
namespace {

constexpr std::array<std::string_view, 4> kColumns{"sequence", "position", "token", "label"};

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) text.remove_prefix(1);
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
    return text;
}

std::string folded(std::string_view text) {
    std::string lower(trimmed(text));
    for (char& letter : lower) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
    return lower;
}

/// The columns that count, by name. What is nearly one of them is an error, for it would be passed over.
std::map<std::string_view, const std::vector<std::string>*> columns_of(const Csv& csv,
                                                                       const std::string& name,
                                                                       std::vector<std::string>& notes) {
    std::map<std::string_view, const std::vector<std::string>*> columns;
    std::vector<std::string> unused;
    for (std::size_t i = 0; i < csv.header.size(); ++i) {
        const std::string heading = folded(csv.header[i]);
        const auto known = std::ranges::find(kColumns, heading);
        if (known != kColumns.end()) {
            if (!columns.emplace(*known, &csv.columns[i]).second)
                throw Error(fmt::format("{} has two columns '{}'", name, *known), "", "leave one out");
            continue;
        }
        if (const auto meant = closest(heading, {kColumns.begin(), kColumns.end()}))
            throw Error(fmt::format("{} has a column '{}'", name, printable(csv.header[i])),
                        fmt::format("the column that counts is '{}'", *meant), "rename it");
        unused.push_back("'" + printable(csv.header[i]) + "'");
    }
    if (columns.empty())
        throw Error(fmt::format("{} has no column that counts", name),
                    fmt::format("its first line has {}", fmt::join(unused, ", ")),
                    "name one sequence, position, token or label");
    if (!unused.empty())
        notes.push_back(fmt::format("{}: {} not used; sequence, position, token and label are",
                                    std::filesystem::path(name).filename().string(),
                                    fmt::join(unused, ", ")));
    return columns;
}

std::vector<std::int32_t> integers(const std::vector<std::string>& texts, std::string_view column,
                                   const Csv& csv, const std::string& name) {
    std::vector<std::int32_t> values;
    for (std::size_t i = 0; i < texts.size(); ++i) {
        const std::string_view text = trimmed(texts[i]);
        std::int64_t value = -1;
        const char* end = text.data() + text.size();
        const auto parsed = std::from_chars(text.data(), end, value);
        const bool too_large = parsed.ec == std::errc::result_out_of_range && !text.starts_with('-');
        if (!too_large && (parsed.ec != std::errc{} || parsed.ptr != end || value < 0))
            throw Error(fmt::format("line {} of {} has no number under '{}'", csv.lines[i], name, column),
                        fmt::format("it says '{}'", printable(texts[i])), "write a whole number from 0");
        if (too_large || value >= kMostImported)
            throw Error(fmt::format("line {} of {} has {} under '{}'", csv.lines[i], name,
                                    printable(texts[i]), column),
                        fmt::format("at most {} is read", kMostImported - 1), "count from 0");
        values.push_back(static_cast<std::int32_t>(value));
    }
    return values;
}

void read_labels(TokenRows& rows, const std::vector<std::string>& texts, const Csv& csv,
                 const std::string& name) {
    std::map<std::string, std::int32_t> index;
    for (std::size_t i = 0; i < texts.size(); ++i) {
        if (texts[i].empty()) continue;
        if (valid_utf8(texts[i]) != texts[i])
            throw Error(fmt::format("line {} of {} has a label that is not UTF-8", csv.lines[i], name),
                        fmt::format("'{}'", printable(texts[i])), "save the file as UTF-8");
        const auto [entry, added] = index.emplace(texts[i], static_cast<std::int32_t>(rows.labels.size()));
        if (added) rows.labels.push_back(texts[i]);
        rows.tokens.label[i] = entry->second;
    }
}

/// Rows by their place in the parts.
TokenRows by_place(const std::vector<ImportPart>& parts) {
    TokenRows rows;
    std::int64_t n = 0, sequence = 0;
    for (const ImportPart& part : parts) n += part.n_sequences * part.length;
    const auto size = static_cast<std::size_t>(n);
    rows.tokens.token_id.assign(size, -1);
    rows.tokens.label.assign(size, -1);
    rows.pieces.assign(size, "");
    std::size_t row = 0;
    for (const ImportPart& part : parts) {
        for (std::size_t i = 0; i < part.token_ids.size(); ++i)
            rows.tokens.token_id[row + i] =
                static_cast<std::int32_t>(std::clamp<std::int64_t>(part.token_ids[i], -1, INT32_MAX));
        for (std::int64_t s = 0; s < part.n_sequences; ++s, ++sequence) {
            for (std::int64_t p = 0; p < part.length; ++p, ++row) {
                rows.tokens.sequence.push_back(static_cast<std::int32_t>(sequence));
                rows.tokens.position.push_back(static_cast<std::int32_t>(p));
            }
        }
    }
    return rows;
}

}  // namespace

TokenRows token_rows(const std::vector<ImportPart>& parts, const std::optional<std::filesystem::path>& labels,
                     std::vector<std::string>& notes) {
    TokenRows rows = by_place(parts);
    const std::int64_t n = rows.tokens.size();
    if (labels) {
        const std::string name = labels->string();
        const Csv csv = read_csv(*labels);
        const auto columns = columns_of(csv, name, notes);
        if (static_cast<std::int64_t>(csv.lines.size()) != n)
            throw Error(fmt::format("{} has {} lines below its header", name, csv.lines.size()),
                        fmt::format("there are {} rows", n), "give one line a row");
        const auto column = [&](std::string_view its_name) {
            const auto found = columns.find(its_name);
            return found == columns.end() ? nullptr : found->second;
        };
        const auto* position = column("position");
        if (const auto* sequence = column("sequence")) {
            rows.tokens.sequence = integers(*sequence, "sequence", csv, name);
            if (position == nullptr) {
                std::map<std::int32_t, std::int32_t> next;
                for (std::size_t i = 0; i < rows.tokens.sequence.size(); ++i)
                    rows.tokens.position[i] = next[rows.tokens.sequence[i]]++;
            }
        }
        if (position != nullptr) rows.tokens.position = integers(*position, "position", csv, name);
        if (const auto* token = column("token")) rows.pieces = *token;
        if (const auto* label = column("label")) read_labels(rows, *label, csv, name);
    }
    for (const auto* numbers : {&rows.tokens.sequence, &rows.tokens.position}) {
        const std::int32_t largest = *std::ranges::max_element(*numbers);
        if (largest >= kMostImported)
            throw Error(fmt::format("the vectors have {} {}", std::int64_t{largest} + 1,
                                    numbers == &rows.tokens.position ? "positions" : "sequences"),
                        fmt::format("at most {} are read", kMostImported),
                        "give each row its sequence and position with --labels");
    }
    rows.n_sequences = *std::ranges::max_element(rows.tokens.sequence) + 1;
    rows.length = *std::ranges::max_element(rows.tokens.position) + 1;
    return rows;
}

}  // namespace tomograph
