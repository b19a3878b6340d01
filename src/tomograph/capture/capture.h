#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tomograph/base/progress.h"
#include "tomograph/base/range.h"
#include "tomograph/engine/language_model.h"
#include "tomograph/prompts/prompts.h"
#include "tomograph/store/dtype.h"
#include "tomograph/store/output_folder.h"

namespace tomograph {

/// What is changed of the model while it reads.
struct Intervention {
    Json acts;  ///< for run.json: what is done, and checksums of what it is done with
    /// For the plan of a batch: some of the prompts' sequences. What it gives must live until it is called
    /// again.
    std::function<std::vector<Write>(std::size_t first_sequence, std::size_t n_sequences)> writes;
};

/// A share of a capture, for one of several processes: about as many tokens as the others have.
struct Part {
    int number = 1;  ///< from 1
    int of = 1;
};
inline constexpr int kMostParts = 1 << 16;

/// What is kept beside the norms, or instead of the vectors.
struct Keep {
    /// The mean over sequences at each position. With scores, theirs; where every token's scores are kept
    /// they say it, and nothing more is written.
    bool means = true;
    bool moments = false;  ///< count, mean and covariance of each site, over all tokens
    /// Instead of vectors, so many scores of each on axes of its site, and the norm of what they leave out.
    /// 0: vectors.
    std::int64_t scores = 0;
    std::int64_t fit_tokens = 0;         ///< that the axes are fitted to, the first ones; 0: 64 an axis
    std::filesystem::path axes_of = {};  ///< a run whose axes are taken instead; empty: fitted
};

/// What of a model's reading is kept.
struct CaptureOptions {
    std::vector<Component> components;         ///< empty: all that the model has
    std::vector<Component> vector_components;  ///< of these, the ones whose vectors are kept; empty: all
    Range layers;                              ///< of the sites inside blocks; default all
    Range vector_layers;                       ///< of these, the ones at which vectors are kept; default all
    Range positions;      ///< of the vectors; norms and means cover every position. Default all
    double sample = 1.0;  ///< fraction of the tokens whose vectors are kept, chosen by seed
    bool vectors = true;  ///< false: norms and means only
    /// resid_mid has no vectors of its own where it is the sum of sites that have: reading it adds theirs up,
    /// rounded as they are. (Where a site is another name of one that has, it never has its own.)
    bool mid_as_sum = false;
    Keep keep = {};
    /// Of the vectors or scores. None: float16, and from the first shard on that it cannot hold, bfloat16
    /// (float32 with `exact` or scores), which a note says.
    std::optional<Dtype> dtype;
    /// Keep what the model expected of each token, given or generated: logprob, entropy and rank
    /// (TokenScore). The product with the vocabulary that it takes is the largest of a small model.
    bool scores = false;
    bool exact = false;         ///< see EngineOptions
    bool rope_off = false;      ///< see EngineOptions
    double rope_frequency = 1;  ///< see EngineOptions
    /// Each token reads at most its last so many tokens, itself and a start token at the head included
    /// (TruncatedContext): as many times the cost. 0: all before it.
    std::int64_t context = 0;
    int threads = 0;
    std::uint64_t seed = 42;  ///< for `sample`
    std::optional<Intervention> intervention = std::nullopt;
    /// Read these sequences of all only. The folder is that of the whole capture with this part's shards;
    /// merge_runs() puts the parts together.
    Part part = {};
    /// Replace an existing run, or go on with one that was interrupted.
    Begin begin = Begin::fresh;
    /// A shard is some whole batches, about so many bytes or four times its sums of the means, whichever is
    /// more: what a killed capture can lose. Smaller gives more files. Default 256 MB.
    std::int64_t shard_bytes = 256'000'000;
    std::string command;  ///< how it was asked for, kept in run.json; "" is left out
};

/// Of the part that was asked for.
struct CaptureSummary {
    std::int64_t n_sequences = 0;  ///< 0: the part has none, and no folder was made
    std::int64_t n_tokens = 0;
    std::int64_t n_rows = 0;  ///< tokens whose vectors were kept
    std::size_t n_sites = 0;
    std::uint64_t bytes = 0;              ///< of all shards' vectors
    std::int64_t n_tokens_found = 0;      ///< of n_tokens, those that an earlier capture had read
    double seconds = 0;                   ///< from the first batch to the last file
    std::vector<std::string> notes = {};  ///< what the user should know, a sentence each
    /// The largest relative error of a block's sum, in the first batch that was read; 0 where none was.
    double sum_error = 0;
    double mean_logprob = 0;  ///< with scores: of the tokens read now that something predicted; else 0
};

/// For an engine that reads `prompts` as `options` say, but for their context, and stops when `progress` is
/// told to.
EngineOptions engine_options(const PromptSet& prompts, const CaptureOptions& options, Progress& progress);
/// That engine, with their context. Errors: as make_engine() and TruncatedContext().
std::unique_ptr<Engine> capture_engine(const LanguageModel& model, const PromptSet& prompts,
                                       const CaptureOptions& options, Progress& progress);

/// Run prompts through a model and write a run folder. Memory is bounded by one batch and the sums of one
/// shard (see PositionSums). The first batch is checked: a model whose blocks do not add up is refused. When
/// the capture fails before its first shard is whole, no folder is left (and a run that it was to replace is
/// as it was); later, whole shards stay readable, and Begin::resume goes on after them to the same bytes that
/// a capture without interruption writes.
/// Errors: Error for a component or layer that does not exist, a float16 overflow, a full disk, a run that
/// was captured otherwise than it is to be resumed; Stopped.
CaptureSummary capture(const LanguageModel& model, const PromptSet& prompts, const std::filesystem::path& out,
                       const CaptureOptions& options, Progress& progress);

/// The same on an engine of the model that was made before and is not done with, whose options hold: it must
/// be for sequences as long as these, and be told to stop by other ways than `progress` to stop within a
/// batch. For who reads one prompt after another.
CaptureSummary capture(const LanguageModel& model, Engine& engine, const PromptSet& prompts,
                       const std::filesystem::path& out, const CaptureOptions& options, Progress& progress);

/// The sites of `engine` that the options choose, as indices into engine.sites().
/// Errors: Error that says which components or layers exist.
std::vector<std::size_t> choose_sites(const Engine& engine, const ModelInfo& model,
                                      const std::vector<Component>& components, const Range& layers);

}  // namespace tomograph
