#pragma once
// Only for the files of model/ that include llama.h.
#include <gguf.h>
#include <llama.h>

#include <string>
#include <vector>

#include "tomograph/engine/model_info.h"
#include "tomograph/engine/vocabulary.h"

namespace tomograph {

/// The vocabulary of a model that llama.cpp holds.
class LlamaVocabulary final : public Vocabulary {
  public:
    LlamaVocabulary(const llama_vocab* vocab, const gguf_context* gguf, const ModelInfo& model,
                    std::vector<std::string> notes);

    /// Its model reads a source, and texts of its own begin with `named`, or the start token where the header
    /// names none (a negative number). Errors: Error where it has neither.
    void set_target_start(std::int32_t named);

    const VocabularyInfo& info() const override { return info_; }
    std::vector<std::int32_t> tokenize(std::string_view text, bool special) const override;
    const std::vector<SpecialToken>& special_tokens() const override { return special_tokens_; }
    std::string chat_template() const override { return chat_template_; }
    std::string piece(std::int32_t token) const override;
    TokenType type(std::int32_t token) const override;
    bool ends_text(std::int32_t token) const override;

  private:
    const llama_vocab* vocab_;
    VocabularyInfo info_;
    std::vector<SpecialToken> special_tokens_;
    std::string chat_template_;
};

}  // namespace tomograph
