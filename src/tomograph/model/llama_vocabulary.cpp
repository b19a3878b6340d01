#include "tomograph/model/llama_vocabulary.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "tomograph/base/error.h"
#include "tomograph/base/text.h"
#include "tomograph/model/gguf_file.h"

namespace tomograph {
namespace {

/// Where its header names no start token, llama.cpp takes GPT-2's number 11, whatever token that is here.
std::optional<std::int32_t> start_token(const gguf_context* gguf, const llama_vocab* vocab) {
    const llama_token token = llama_vocab_bos(vocab);
    const bool named = gguf_find_key(gguf, "tokenizer.ggml.bos_token_id") >= 0;
    if (token < 0 || !(named || llama_vocab_is_control(vocab, token))) return std::nullopt;
    return token;
}

/// Where the model reads to and fro, or a source: what it was trained to see a text end with.
std::optional<std::int32_t> closing_token(const llama_vocab* vocab, const ModelInfo& model) {
    if (model.causal && model.side.empty()) return std::nullopt;
    const llama_token token = llama_vocab_get_add_sep(vocab)   ? llama_vocab_sep(vocab)
                              : llama_vocab_get_add_eos(vocab) ? llama_vocab_eos(vocab)
                                                               : LLAMA_TOKEN_NULL;
    return token < 0 ? std::nullopt : std::optional<std::int32_t>(token);
}

}  // namespace

LlamaVocabulary::LlamaVocabulary(const llama_vocab* vocab, const gguf_context* gguf, const ModelInfo& model,
                                 std::vector<std::string> notes)
    : vocab_(vocab) {
    info_.notes = std::move(notes);
    info_.model = model.name;
    info_.n_tokens = model.n_vocab;
    info_.start_token = start_token(gguf, vocab);
    info_.adds_start_token = llama_vocab_get_add_bos(vocab) && info_.start_token;
    info_.closing_token = closing_token(vocab, model);
    info_.context_length = model.context_length;
    info_.bounded = model.learned_positions;
    if (const llama_token end = llama_vocab_eos(vocab); end >= 0) info_.end_token = end;
    if (const auto source = gguf_string(gguf, "tokenizer.chat_template")) chat_template_ = *source;
    if (llama_vocab_type(vocab_) == LLAMA_VOCAB_TYPE_NONE) return;
    for (std::int32_t token = 0; token < info_.n_tokens; ++token) {
        const TokenType its = type(token);
        if (its != TokenType::control && its != TokenType::unknown) continue;
        std::string spelling = piece(token);
        if (!spelling.empty()) special_tokens_.push_back({std::move(spelling), token});
    }
}

void LlamaVocabulary::set_target_start(std::int32_t named) {
    if (named >= 0) info_.target_start = named;
    if (!info_.target_start) info_.target_start = info_.start_token;
    if (!info_.target_start)
        throw Error(info_.model + " names no token that a target begins with",
                    "its header has neither a decoder's start token nor a start token", "");
}

std::vector<std::int32_t> LlamaVocabulary::tokenize(std::string_view bytes, bool special) const {
    if (llama_vocab_type(vocab_) == LLAMA_VOCAB_TYPE_NONE) {
        throw Error(info_.model + " has no vocabulary", "text cannot be cut into tokens", "");
    }
    // llama.cpp replaces most bytes that belong to no character and throws at others.
    const std::string text = valid_utf8(bytes);
    if (text.size() > std::numeric_limits<std::int32_t>::max() - 8u) {
        throw Error("a text is too long to be cut into tokens at once",
                    fmt::format("it has {} bytes", text.size()), "give it in parts");
    }
    std::vector<llama_token> tokens(text.size() + 8);
    const auto size = static_cast<std::int32_t>(text.size());
    std::int32_t n = llama_tokenize(vocab_, text.data(), size, tokens.data(),
                                    static_cast<std::int32_t>(tokens.size()), false, special);
    if (n < 0) {
        tokens.resize(static_cast<std::size_t>(-n));
        n = llama_tokenize(vocab_, text.data(), size, tokens.data(), -n, false, special);
    }
    tokens.resize(static_cast<std::size_t>(n));
    return tokens;
}

std::string LlamaVocabulary::piece(std::int32_t token) const {
    check_token(token, info_.model, info_.n_tokens);
    if (llama_vocab_type(vocab_) == LLAMA_VOCAB_TYPE_NONE) return fmt::format("<{}>", token);
    std::string bytes(32, '\0');
    std::int32_t n =
        llama_token_to_piece(vocab_, token, bytes.data(), static_cast<std::int32_t>(bytes.size()), 0, true);
    if (n < 0) {
        bytes.resize(static_cast<std::size_t>(-n));
        n = llama_token_to_piece(vocab_, token, bytes.data(), -n, 0, true);
    }
    bytes.resize(static_cast<std::size_t>(n));
    return bytes;
}

bool LlamaVocabulary::ends_text(std::int32_t token) const {
    check_token(token, info_.model, info_.n_tokens);
    return llama_vocab_type(vocab_) != LLAMA_VOCAB_TYPE_NONE && llama_vocab_is_eog(vocab_, token);
}

TokenType LlamaVocabulary::type(std::int32_t token) const {
    check_token(token, info_.model, info_.n_tokens);
    if (llama_vocab_type(vocab_) == LLAMA_VOCAB_TYPE_NONE) return TokenType::normal;
    const auto attributes = static_cast<unsigned>(llama_vocab_get_attr(vocab_, token));
    if (attributes & LLAMA_TOKEN_ATTR_CONTROL) return TokenType::control;
    if (attributes & LLAMA_TOKEN_ATTR_USER_DEFINED) return TokenType::user;
    if (attributes & LLAMA_TOKEN_ATTR_BYTE) return TokenType::byte;
    if (attributes & LLAMA_TOKEN_ATTR_UNKNOWN) return TokenType::unknown;
    if (attributes & LLAMA_TOKEN_ATTR_UNUSED) return TokenType::unused;
    return TokenType::normal;
}

}  // namespace tomograph
