#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tomograph/engine/language_model.h"
#include "tomograph/prompts/prompts.h"
#include "tomograph/serve/live.h"

namespace tomograph {

struct LiveOptions {
    /// Tokens of a prompt at most; fewer where the model's positions are a shorter table.
    std::int64_t most_tokens = 256;
    /// Jinja template for conversations; empty: the model's own.
    std::string chat_template;
    int threads = 0;
};

/// A language model that reads what is typed into a page. Its engine is kept from one prompt to the next.
class LiveModel final : public LiveReader {
  public:
    /// `model` must outlive it. Errors: as LanguageModel::make_engine(); Error when the template is none.
    LiveModel(const LanguageModel& model, LiveOptions options);
    ~LiveModel() override;

    std::string model_name() const override;
    std::int64_t most_tokens() const override { return options_.most_tokens; }
    bool converses() const override;
    std::string check(const Run& run) const override;
    std::vector<std::string> read(const LivePrompt& prompt, const Run& like, const std::filesystem::path& out,
                                  Progress& progress) override;
    std::vector<LayerWords> words(const Run& prompt, std::int64_t token, int n_words) override;
    SteeringEffect effect(const LivePrompt& prompt, const Run& like, int n_words, int n_control) override;

  private:
    PromptSet tokens_of(const LivePrompt& prompt, const Run& like) const;
    struct State;
    const LanguageModel& model_;
    LiveOptions options_;
    std::unique_ptr<State> state_;
};

}  // namespace tomograph
