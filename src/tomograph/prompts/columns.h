#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "tomograph/prompts/prompts.h"

namespace tomograph {

/// Columns that prompt sets have beside `label`; docs/run-format.md says what they hold.
inline constexpr const char* kRoleColumn = "role";      ///< whose message a token belongs to
inline constexpr const char* kTurnColumn = "turn";      ///< number of that message, from 0
inline constexpr const char* kOriginColumn = "origin";  ///< "template" or "content"
inline constexpr const char* kPartColumn = "part";      ///< "prompt", "last" (of the prompt) or "answer"
inline constexpr const char* kOverlapColumn =
    "overlap";  ///< "new", or "again": an earlier sequence has it too

/// Index of a column of the set, added when new; one without words holds numbers.
std::size_t column_index(PromptSet& set, std::string_view name);

/// Index of `word` among `words`, added when new.
std::int32_t word_index(std::vector<std::string>& words, const std::string& word);

/// One entry of a sequence's column: it and all columns before it grow to the sequence's length where they
/// are shorter.
void set_entry(Sequence& sequence, std::size_t column, std::size_t token, std::int32_t value);

/// Column `part`: of each sequence the last token is "last", the others are "prompt".
void mark_last_tokens(PromptSet& set);

}  // namespace tomograph
