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
    std::optional<std::int32_t> end_token;    ///< none where there is none
    bool adds_start_token = false;            ///< sequences begin with start_token unless told otherwise
    /// Ends a text that is read whole where every token sees all others, as the model was trained: BERT's
    /// [SEP], T5's </s>. None where the header asks for none, and for what reads forward only.
    std::optional<std::int32_t> closing_token;
    /// What a decoder that reads a source begins its own text with. None: it reads no source.
    std::optional<std::int32_t> target_start;
    std::int64_t context_length = 0;  ///< the most tokens that the model was trained to read
    bool bounded = false;             ///< it cannot read more than that, since its positions are a table
    /// What was assumed or changed of it when it was loaded, a sentence each: text may be read otherwise than
    /// the model was trained to.
    std::vector<std::string> notes = {};
};

/// A token that a text can hold by its spelling.
struct SpecialToken {
    std::string spelling;  ///< never empty
    std::int32_t token = -1;
};

/// How text becomes tokens and tokens become text, apart from the weights that read them.
class Vocabulary {
  public:
    virtual ~Vocabulary() = default;

    virtual const VocabularyInfo& info() const = 0;
    /// Token ids of `text`, without a start token; with `special`, special tokens that are spelt in the text
    /// are those tokens, else they are plain text. Bytes that are not UTF-8 are U+FFFD. Errors: Error when
    /// the model has no vocabulary.
    virtual std::vector<std::int32_t> tokenize(std::string_view text, bool special = false) const = 0;
    /// Control tokens and the unknown token, by their number: what `special` decides about. Tokens that were
    /// added to a finished vocabulary are read by their spelling always.
    virtual const std::vector<SpecialToken>& special_tokens() const = 0;
    /// Does the model say by this token that it has finished: the end of its text, or of its turn? Errors: id
    /// out of range.
    virtual bool ends_text(std::int32_t token) const = 0;
    /// The model's own Jinja template for conversations; empty where it has none.
    virtual std::string chat_template() const = 0;
    /// The bytes that a token stands for: may be a part of a UTF-8 character. Errors: id out of range.
    virtual std::string piece(std::int32_t token) const = 0;
    /// Errors: id out of range.
    virtual TokenType type(std::int32_t token) const = 0;
};

/// Errors: Error when `model`, which has tokens 0 to n_tokens - 1, has not this one.
void check_token(std::int32_t token, const std::string& model, std::int64_t n_tokens);

}  // namespace tomograph
