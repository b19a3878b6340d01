#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tomograph/engine/language_model.h"
#include "tomograph/model/held_weights.h"

namespace tomograph {

/// Which stream of an encoder and a decoder in one file is the model: each is one by itself, and the target's
/// reads the source beside its own text.
enum class Side { source, target };

/// A GGUF, opened with llama.cpp: weights and vocabulary.
class Model final : public LanguageModel {
  public:
    /// `name_or_path` is a GGUF file, or "bytes-gpt2" or "bytes-llama", which are part of the program.
    /// `weights`: how they are held; `threads` decode them (0: all). `side` matters where there are two.
    /// Errors: Error when the file is missing, truncated, not a GGUF, or no language model, and when the
    /// target is asked of a model that has one side.
    static Model open(const std::string& name_or_path, HeldWeights weights = HeldWeights::as_stored,
                      int threads = 0, Side side = Side::source);
    Model(Model&&) noexcept;
    Model& operator=(Model&&) noexcept;
    ~Model() override;

    const ModelInfo& info() const override;
    const Vocabulary& vocabulary() const override;
    Matrix token_embeddings(const std::vector<std::int32_t>& ids) const override;
    Vector mean_token_embedding() const override;
    std::unique_ptr<Engine> make_engine(const EngineOptions& options) const override;
    std::unique_ptr<Continuation> make_continuation(const EngineOptions& options) const override;
    std::string checksum() const override;
    Json backend() const override;

  private:
    struct State;
    explicit Model(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

/// Names of the models inside the program.
const std::vector<std::string>& embedded_models();

/// The llama.cpp that is linked: name, release (the package that it came in), ggml
/// (its version), system (kernels, as it says them) and float32_products (who computes those of many tokens).
Json llama_build();

/// Called with llama.cpp's last words before it ends the process, which it does on inputs that no check here
/// foresaw. The handler may not return to llama.cpp.
void set_fatal_handler(void (*handler)(const char* message));

}  // namespace tomograph
