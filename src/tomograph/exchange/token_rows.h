#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tomograph/exchange/sources.h"
#include "tomograph/store/run.h"

namespace tomograph {

/// Who each imported row is.
struct TokenRows {
    TokenTable tokens;
    std::vector<std::string> pieces;  ///< a row
    std::vector<std::string> labels;  ///< names, in the order of their first rows
    std::int64_t n_sequences = 1;
    std::int64_t length = 0;  ///< of the longest sequence
};

/// Positions and sequences below this are read: tables that have an entry for each stay small.
inline constexpr std::int32_t kMostImported = 1 << 24;

/// Rows by their place in `parts`, one after another, and by a CSV file with one line a row, whose columns
/// sequence, position, token and label count, however they are capitalised and spaced. Without position, a
/// row's place in its sequence. `notes` names the columns that do not count. Errors: Error that names the
/// line or the column: another number of lines than rows; a column that stands twice or is nearly one of
/// these; none that counts; no whole number, or one that is too large; labels that are not UTF-8.
TokenRows token_rows(const std::vector<ImportPart>& parts, const std::optional<std::filesystem::path>& labels,
                     std::vector<std::string>& notes);

}  // namespace tomograph
