#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "tomograph/base/progress.h"
#include "tomograph/engine/language_model.h"
#include "tomograph/findings/lens_table.h"
#include "tomograph/prompts/prompts.h"
#include "tomograph/store/run.h"

namespace tomograph {

struct LensOptions {
    /// Tokens that are read at every site, spread over the sequences by seed; each costs two products with
    /// the vocabulary a site. 0: all. Default 512.
    std::int64_t rows = 512;
    /// Tokens that ridge lenses are fitted on, at most. More than the model is wide, better many times; costs
    /// little. Default 8192.
    std::int64_t fit_rows = 8192;
    /// What is read besides the stream, where the run has its vectors.
    std::vector<Component> beside = {Component::attn_out, Component::mlp_out};
    std::uint64_t seed = 42;
    int threads = 0;
};

struct LensResult {
    LensTable table;
    /// Of each token of the run that was read: the first layer from which on the stream's most probable token
    /// stays the answer's; NaN of others.
    std::vector<float> logit_depth, ridge_depth;
};

/// Read a run's stored vectors through the model that they are from. Tokens are those with a token before and
/// after them that are no sinks. A ridge lens of a sequence is fitted on sequences of the other half of the
/// run. Memory: one half's maps in groups of at most 256 MB, a fit's moments (64 d_model^2 bytes twice) and
/// 48 answers.
/// Errors: Error where the model is another one, the run lacks the stream's vectors, has one sequence or raw
/// vectors, and where the last layer's readings are not the model's own answers; Stopped.
LensResult measure_lens(const LanguageModel& model, const Run& run, const LensOptions& options,
                        Progress& progress);

/// Columns of the run, `lens_depth` and `ridge_depth`, and measures/lens.json.
void save_lens(const Run& run, const LensResult& result);

/// What a lens of `model` needs of a text, captured into a folder that is to be deleted (or kept) by the
/// caller: float32 vectors of the stream and of what the options name beside it.
Run capture_for_lens(const LanguageModel& model, const PromptSet& prompts,
                     const std::filesystem::path& folder, const LensOptions& options, bool exact, Begin begin,
                     const std::string& command, Progress& progress);

/// The tokens of a run as prompts, for a twin of its model to read.
PromptSet prompts_of_run(const Run& run);

/// What each layer would say next after each token of a prompt.
struct LensCell {
    std::vector<std::int32_t> top;  ///< most probable first
    std::vector<double> p;          ///< their probabilities
    double kl = 0;                  ///< from the model's own answer
};
struct LensReading {
    std::vector<std::int32_t> tokens;
    std::vector<Site> sites;                   ///< the stream, first layer first
    std::vector<std::vector<LensCell>> cells;  ///< [sites][tokens]
    std::vector<LensCell> own;                 ///< [tokens] the model's
};
/// `fitted`: a run to fit ridge lenses on; null: the logit lens. Errors: as measure_lens().
std::vector<LensReading> read_prompts(const LanguageModel& model, const PromptSet& prompts, const Run* fitted,
                                      std::size_t n_top, bool exact, const LensOptions& options,
                                      Progress& progress);

}  // namespace tomograph
