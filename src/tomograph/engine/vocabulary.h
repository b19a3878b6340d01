#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tomograph {

/// What a token is to the vocabulary that it belongs to.
enum class TokenType {
    normal,   ///< a piece of text
    control,  ///< marks a place and stands for no text: the start, the end, whose turn it is
    user,     ///< was added to a finished vocabulary
    byte,     ///< one byte, for text that no other token covers
    unknown,  ///< stands for what the vocabulary cannot write
    unused,   ///< a row of the table that no text becomes
};
std::string_view token_type_name(TokenType type);

struct VocabularyInfo {
    std::string model;  ///< whose it is, for messages
    std::int64_t n_tokens = 0;
    std::optional<std::int32_t> start_token;  ///< none where the header names none
    bool adds_start_token = false;            ///< sequences begin with start_token unless told otherwise
    std::int64_t context_length = 0;          ///< the most tokens that the model was trained to read
    bool bounded = false;  ///< it cannot read more than that, since its positions are a table
};

/// How text becomes tokens and tokens become text, apart from the weights that read them.
class Vocabulary {
  public:
    virtual ~Vocabulary() = default;

    virtual const VocabularyInfo& info() const = 0;
    /// Token ids of `text`, without a start token; special tokens in the text are plain text, and bytes that
    /// are not UTF-8 are U+FFFD. Errors: Error when the model has no vocabulary.
    virtual std::vector<std::int32_t> tokenize(std::string_view text) const = 0;
    /// The bytes that a token stands for: may be a part of a UTF-8 character. Errors: id out of range.
    virtual std::string piece(std::int32_t token) const = 0;
    /// Errors: id out of range.
    virtual TokenType type(std::int32_t token) const = 0;
};

/// Errors: Error when `model`, which has tokens 0 to n_tokens - 1, has not this one.
void check_token(std::int32_t token, const std::string& model, std::int64_t n_tokens);

}  // namespace tomograph
