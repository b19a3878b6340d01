#pragma once
#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tomograph/cli/model_source.h"
#include "tomograph/prompts/prompts.h"

namespace tomograph {

/// What commands that measure losses share: what is read, and how the model runs.
struct LossFlags {
    std::string model, weights = kDefaultWeights, jsonl, side;
    std::vector<std::string> text, prompts;
    std::optional<std::int64_t> sequences, length;
    bool exact = false;
    int threads = 0;
    std::uint64_t seed = 42;

    /// `default_sequences` of text; a command may have no --prompt.
    void add(CLI::App& command, std::int64_t default_sequences, bool with_prompts);
    /// --jsonl and --side: a decoder beside an encoder reads pairs of a source and a target.
    void add_jsonl(CLI::App& command);
    Model open(Progress& progress) const;
    /// Errors: CLI::ValidationError where more than one of --text, --prompt and --jsonl is given.
    PromptSet read(const Model& opened) const;

  private:
    std::int64_t default_sequences_ = 8;
};

}  // namespace tomograph
