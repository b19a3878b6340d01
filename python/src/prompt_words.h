#pragma once
#include <nanobind/nanobind.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tomograph/base/progress.h"
#include "tomograph/model/model.h"
#include "tomograph/prompts/prompts.h"

namespace tomograph::python {

/// What a model is to read, in the command line's words.
struct PromptWords {
    std::string kind = "prompt";
    std::vector<std::string> texts;            ///< prompt: each a sequence
    std::vector<std::string> labels;           ///< prompt: one each, or none
    std::vector<std::filesystem::path> files;  ///< text: files; jsonl: one
    std::string documents;                     ///< text: "file" or "line"; empty: the text runs on
    std::int64_t stride = 0;                   ///< text
    std::string word;                          ///< repeat, or
    std::optional<std::int32_t> token;         ///< repeat
    std::string prefix;                        ///< repeat: "", "start", "none" or a token's id
    std::int64_t length = 0;                   ///< 0: the context, at most 512
    std::int64_t sequences = 0;                ///< 0: 32, of jsonl and documents all
    std::int64_t rows = 0;                     ///< vocabulary
    std::string start, special = "text", chat_template;
    bool ask = true;
    std::int64_t plant_start = 0;  ///< 0: none
    std::uint64_t seed = 42;
    std::int64_t generate = 0;
    double temperature = 0;
    std::vector<std::string> stops;
    // Of what generates.
    bool exact = false, rope_off = false;
    double rope_frequency = 1;
    int threads = 0;
};

/// Errors: as the kinds of prompts have them, and Error for words that mean nothing.
PromptSet make_prompts(const Model& model, const PromptWords& words, Progress& progress);

/// The context, at most 512 tokens.
std::int64_t default_length(const Model& model);

void bind_prompt_words(nanobind::module_& module);

}  // namespace tomograph::python
