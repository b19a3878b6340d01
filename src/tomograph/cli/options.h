#pragma once
#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "tomograph/capture/capture.h"
#include "tomograph/select/selection.h"

namespace tomograph {

/// Selection flags that several commands share, as typed; parsed when the command runs.
struct SelectionFlags {
    std::string components, layers = ":", positions = ":", sequences = ":", normalize = "none", mean,
                            layer_order = "given";
    std::vector<std::string> labels;
    std::int64_t rows = 0;
    std::uint64_t seed = 42;

    void add(CLI::App& app);
    /// Errors: Error for an unknown word or a broken range.
    Selection selection() const;
};

/// min(512, context).
std::int64_t default_length(const ModelInfo& model);
/// Says on standard error what was assumed or cut.
void print_notes(const std::vector<std::string>& notes);
/// A rotary model can read beyond the context that it was trained on; the user should know.
void warn_about_length(const ModelInfo& model, std::int64_t length);

}  // namespace tomograph
