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

/// Errors: Error for a length that the model cannot read, before memory is taken for it.
void check_length(const Vocabulary& vocabulary, std::int64_t length);

/// Errors: Error when the bytes are empty or not text. `shown` names them.
void check_text(std::string_view bytes, const std::string& shown);

/// Fill in what every description has: kind, sequences, length (of the longest), start_token, and the notes,
/// those of the vocabulary first.
void describe(PromptSet& set, const Vocabulary& vocabulary, const std::string& kind,
              std::optional<std::int32_t> start);

/// Put the start token before a sequence that begins with another one. A chat template may have written it
/// already.
void add_start(Sequence& sequence, std::optional<std::int32_t> start);

/// Cut to `length` tokens. True where there were more.
bool cut_to(Sequence& sequence, std::int64_t length);
/// The same, and where `closing` is a token it is the last of them, without a label.
bool cut_and_close(Sequence& sequence, std::int64_t length, std::optional<std::int32_t> closing);

/// What the user should know of how a text was read.
void note_reading(PromptSet& set, std::int64_t spelt, std::int64_t replaced, const Vocabulary& vocabulary);

}  // namespace tomograph
