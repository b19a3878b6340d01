#pragma once
#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tomograph/base/error.h"
#include "tomograph/base/json.h"
#include "tomograph/capture/capture.h"
#include "tomograph/select/selection_words.h"

namespace tomograph {

/// Selection flags that several commands share, as typed; parsed when the command runs.
struct SelectionFlags : SelectionWords {
    void add(CLI::App& app);
    /// Errors: CLI::ValidationError for an unknown word or a broken range.
    Selection selection() const;
};

/// Call `parse`, which reads what was typed: an Error of it is one of usage.
template <typename Parse>
decltype(auto) as_usage(Parse&& parse) {
    try {
        return parse();
    } catch (const Error& e) {
        throw CLI::ValidationError(e.what());
    }
}

/// Acts: a JSON file, or the JSON itself, and the folder that its names are relative to.
std::pair<Json, std::filesystem::path> read_spec(const std::string& spec);
/// All sites of a model, without running more than a few tokens.
std::vector<SiteShape> model_sites(const LanguageModel& model);
/// min(512, context).
std::int64_t default_length(const ModelInfo& model);
/// Says on standard error what was assumed or cut.
void print_notes(const std::vector<std::string>& notes);
/// A rotary model can read beyond the context that it was trained on; the user should know.
void warn_about_length(const ModelInfo& model, std::int64_t length);

}  // namespace tomograph
