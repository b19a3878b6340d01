#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tomograph/base/error.h"
#include "tomograph/base/json.h"
#include "tomograph/store/basis.h"
#include "tomograph/store/dtype.h"
#include "tomograph/store/layout.h"
#include "tomograph/store/output_folder.h"
#include "tomograph/store/site_moments.h"
#include "tomograph/store/write_queue.h"
#include "tomograph/words/site.h"

namespace tomograph {

/// Everything about a run that is fixed before its first vector is written: it fixes every file's size.
struct RunPlan {
    /// `model` (with d_model, n_layers), `prompts` (with kind, sequences, length), `capture`, `program` and
    /// what else there is to say of the run. Must be the same each time: no times, no random names.
    Json description;
    std::vector<SiteShape> sites;  ///< network order
    /// Per site: the type in which its vectors are kept (f32, f16 or bf16); none: its norms and means only.
    std::vector<std::optional<Dtype>> stored;
    /// What stands for the vectors, where it is there: scores on the axes of each site, in the type that
    /// `stored` says (f16 or f32).
    std::shared_ptr<const Basis> basis = nullptr;
    /// Per site those that have vectors and add up to its own, which it then does not have; none: they do
    /// not.
    std::vector<std::vector<std::size_t>> sums = {};
    bool means = true;     ///< keep sums by position, which the means over sequences are made of
    bool moments = false;  ///< keep each shard's moments
    std::vector<std::string> labels = {};
    std::int32_t label_outside_means = -1;  ///< its tokens stay out of the means; -1: none do
    TokenTable tokens;                      ///< `row` is filled by the writer
    std::vector<LabelColumn> columns;       ///< of tokens.further
    std::vector<std::string> scores;        ///< names of numbers that every token has
    std::vector<Json> texts;         ///< what was read, an object a sequence; empty: the pieces are all of it
    std::vector<std::uint8_t> kept;  ///< per token: is its vector kept?
    std::function<std::string(std::int64_t token)> piece;  ///< the token's bytes; empty: it has none
    std::vector<std::int64_t> shard_ends;                  ///< per shard: one past its last token; ascending
    /// Of a capture that several processes share, per part: one past its last shard; ascending, the last is
    /// the number of shards. Empty: it is not shared.
    std::vector<std::size_t> part_ends = {};
};

struct RunWriterOptions {
    Begin begin = Begin::fresh;
    /// Shards reach the disk itself before they count, which a power failure does not undo. False for what
    /// can be made again in a moment.
    bool durable = true;
    /// What is taken is summed and rounded on so many threads of OpenMP's.
    int threads = 1;
};

/// Vectors' scores on a basis, [n, k], and the norm of what is left of each, [n].
struct Scored {
    const float* scores = nullptr;
    const float* residuals = nullptr;
};

/// A value that float16 cannot hold was to be kept as one.
class Float16Overflow : public Error {
  public:
    using Error::Error;
};

class ShardWriter;

/// Scores that stand for each site's vectors; 0: none do.
std::vector<std::int64_t> ranks_of(const RunPlan& plan);

/// The one writer of run folders. Shards are written in any order, one at a time; each is whole once its
/// manifest is there, and never changes afterwards. While the next one fills, the last goes to the disk.
///
///     RunWriter writer(folder, plan, {});
///     for (std::size_t shard = 0; shard < writer.n_shards(); ++shard) {
///         if (writer.is_whole(shard)) continue;
///         writer.begin_shard(shard);
///         writer.take(site, first_token, n, values);  // every token of the shard at every site
///         writer.end_shard();
///     }
///     writer.finish();
///
/// A writer that goes away before finish() leaves the whole shards, readable; without one it leaves nothing.
class RunWriter {
  public:
    /// Errors: Error when the folder may not be written (see OutputFolder), when the plan holds what no run
    /// may, or when it is not the plan of the run that is to be resumed: which field differs is said.
    RunWriter(const std::filesystem::path& folder, RunPlan plan, const RunWriterOptions& options);
    ~RunWriter();
    RunWriter(const RunWriter&) = delete;
    RunWriter& operator=(const RunWriter&) = delete;

    const RunPlan& plan() const { return plan_; }
    std::size_t n_shards() const { return plan_.shard_ends.size(); }
    /// Tokens [first, second) of a shard.
    std::pair<std::int64_t, std::int64_t> shard_tokens(std::size_t number) const;
    /// Has an earlier writer, or this one, finished this shard?
    bool is_whole(std::size_t number) const { return whole_[number]; }
    /// Was everything there already? Then there is nothing to do, finish() included.
    bool is_complete() const { return complete_; }

    /// `instead_of_f16`: the type of what the plan keeps as float16, in this shard. A shard that is open and
    /// not whole is begun anew.
    void begin_shard(std::size_t number, std::optional<Dtype> instead_of_f16 = std::nullopt);
    /// Does this whole shard hold in a wider type what the plan keeps as float16?
    bool is_widened(std::size_t number) const;
    /// Vectors [n, width of the site] of tokens [first, first + n) of the run, all in the open shard. The
    /// tokens of one site come in order; sites come as they like.
    /// Errors: Float16Overflow with the site's name; Error of an earlier write.
    void take(std::size_t site, std::int64_t first, std::int64_t n, const float* values);
    /// The same where the plan has a basis, with each vector's scores on it [n, k] and what is left of its
    /// norm [n].
    void take(std::size_t site, std::int64_t first, std::int64_t n, const float* values,
              const Scored& scored);
    /// Where the plan keeps moments: those of the open shard's vectors, once a site, before end_shard().
    void take_moments(std::size_t site, const SiteMoments& moments);
    /// Numbers of tokens [first, first + n) of the run, all in the open shard: the score at this place in
    /// plan().scores.
    void take_scores(std::size_t score, std::int64_t first, std::int64_t n, const float* values);
    /// The open shard has all its vectors. Errors: Error when it, or the one before it, cannot be written.
    void end_shard();
    /// All shards are whole: write what is drawn from them together, and run.json. Where the plan has parts,
    /// other writers may have written the rest: then run.json says which parts are here.
    void finish();

    /// Of the vectors' files written so far, or found.
    std::uint64_t vector_bytes() const;

  private:
    void begin_files(Begin begin);
    void find_whole_shards();
    void collect();  // the shard that goes to the disk
    void write_text(const char* name, const std::string& text) const;
    std::vector<ShardManifest> whole_shards() const;

    RunPlan plan_;
    bool durable_;
    int threads_;
    OutputFolder folder_;
    Json description_;                      // plan.json
    std::vector<ShardManifest> manifests_;  // without files where the shard is not whole
    std::vector<bool> whole_;
    bool complete_ = false;
    WriteQueue queue_;
    std::unique_ptr<ShardWriter> shard_;
    std::future<ShardManifest> finishing_;
};

}  // namespace tomograph
