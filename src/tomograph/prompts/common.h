#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tomograph/prompts/prompts.h"

namespace tomograph {

/// The start token that sequences begin with; none where they do not. `mend` is what the user can do where
/// the vocabulary has none.
std::optional<std::int32_t> start_token(const Vocabulary& vocabulary, Start start,
                                        const std::string& mend = "use --start no");

/// The first `wanted` tokens of `text`, or all that it has: only as much of a large text is tokenised as is
/// needed.
std::vector<std::int32_t> tokenize_front(const Vocabulary& vocabulary, std::string_view text,
                                         std::int64_t wanted);

/// Errors: Error for a length that the model cannot read, before memory is taken for it.
void check_length(const Vocabulary& vocabulary, std::int64_t length);

/// Errors: Error when the bytes are empty or not text. `shown` names them.
void check_text(std::string_view bytes, const std::string& shown);

/// Fill in what every description has: kind, sequences, length (of the longest), start_token.
void describe(PromptSet& set, const std::string& kind, std::optional<std::int32_t> start);

}  // namespace tomograph
