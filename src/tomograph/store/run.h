#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tomograph/base/json.h"
#include "tomograph/base/matrix.h"
#include "tomograph/store/basis.h"
#include "tomograph/store/layout.h"
#include "tomograph/store/output_folder.h"
#include "tomograph/store/site_moments.h"
#include "tomograph/words/site.h"

namespace tomograph {

/// A finished or interrupted run on disk, opened for reading. docs/run-format.md describes every file.
///
/// An interrupted run reads as the run of what it has: its tokens are those of the whole shards from the
/// first on, and so are its rows, norms and means. planned_tokens() says how many there were to be. A part of
/// a capture that several processes share is read like that too: its sequences and rows count from 0.
///
/// A Run does not change: several threads may read one at once. Opening reads the descriptions and the
/// tokens; shards are opened when they are read, and only so many are kept open.
class Run {
  public:
    /// Errors: Error when `path` is no run folder, is a study, was written by another version of the format,
    /// or when its files do not fit each other.
    static Run open(const std::filesystem::path& path);

    const std::filesystem::path& path() const { return path_; }
    /// run.json; of an interrupted run what it would say: the shards that are whole.
    const Json& json() const { return json_; }
    /// False after a capture that was stopped or killed.
    bool complete() const { return complete_; }
    /// Tokens that the capture set out to read; n_tokens() once it is complete.
    std::int64_t planned_tokens() const { return planned_tokens_; }
    const std::string& model_name() const { return model_name_; }
    /// "text", "repeat", "vocabulary", "positions", "jsonl" or "import".
    const std::string& prompts() const { return prompts_; }
    std::int64_t d_model() const { return d_model_; }
    int n_layers() const { return n_layers_; }
    std::int64_t n_tokens() const { return tokens_.size(); }
    std::int64_t n_sequences() const { return n_sequences_; }
    /// Longest sequence.
    std::int64_t length() const { return length_; }
    const std::vector<std::string>& labels() const { return labels_; }
    /// Further columns of labels, such as "role" and "turn"; what they hold is in tokens().further.
    const std::vector<LabelColumn>& columns() const { return columns_; }
    /// Index into columns(). Errors: Error that names the columns there are.
    std::size_t column(const std::string& name) const;
    /// Numbers that each token has: what the model expected of it, where that was asked for, then what was
    /// computed since (token_numbers.h), by name.
    const std::vector<std::string>& scores() const { return scores_; }
    /// One number a token, NaN where there is none: nothing predicted a sequence's first token. Errors: Error
    /// that names the scores there are.
    std::vector<float> score(const std::string& name) const;
    /// Captured sites in network order.
    const std::vector<SiteShape>& sites() const { return sites_; }
    /// Errors: Error that names the sites there are.
    const SiteShape& site(const Site& site) const;
    bool has_site(const Site& site) const;
    /// False where the run keeps a site's norms and means only. Where it keeps scores on some axes, or the
    /// vectors of sites that add up to this one, there are vectors: those that these stand for.
    bool has_vectors(const Site& site) const;
    /// Sites whose vectors add up to this one's, which has none of its own; empty: they do not.
    std::vector<Site> sum_of(const Site& site) const;
    /// Scores that stand for a site's vectors; 0: the vectors themselves are kept, or nothing is.
    std::int64_t rank(const Site& site) const;
    /// Does any site keep scores instead of vectors?
    bool has_scores() const;
    /// Norm of what the scores leave out of each row, [n_rows]. Errors: Error where no scores are kept.
    std::vector<float> residuals(const Site& site) const;
    bool has_moments() const { return has_moments_; }
    /// Moments of all tokens' vectors. Errors: Error where the run keeps none.
    SiteMoments moments(const Site& site) const;
    /// Are there means by position of a site: its sums, or every token's vector or scores?
    bool has_means(const Site& site) const {
        return has_means_ || (has_vectors(site) && n_rows() == n_tokens());
    }

    const TokenTable& tokens() const { return tokens_; }
    /// Bytes of each token, read from tokens.jsonl on first use. "" for raw vectors.
    const std::vector<std::string>& pieces() const;

    /// Vectors on disk: 0 when the run keeps norms and means only.
    std::int64_t n_rows() const { return static_cast<std::int64_t>(rows_.size()); }
    /// Index into tokens() of each stored row.
    const std::vector<std::int32_t>& rows() const { return rows_; }
    /// Rows [begin, end) of one site, float32 [end - begin, width]; from scores, or from the sites that it is
    /// the sum of, where these are kept.
    /// Errors: Error when a shard is damaged.
    void read_rows(const Site& site, std::int64_t begin, std::int64_t end, float* out) const;

    /// Let go of the memory of rows that were read, which the system would keep for as long as it has room.
    void release() const;

    /// False only where no shard is whole yet: then there is no norm and no mean.
    bool has_stats() const { return n_tokens() > 0; }
    /// Norm of every token at a site, [n_tokens].
    std::vector<float> norms(const Site& site) const;
    /// Those of tokens [begin, end) alone.
    std::vector<float> norms(const Site& site, std::int64_t begin, std::int64_t end) const;
    /// Mean over sequences at each position, [length, width]; 0 where no sequence that counts reaches. Where
    /// scores are kept, their means'; without sums by position the means of the vectors as they were kept.
    /// Errors: Error where there are neither.
    Matrix means(const Site& site) const;

  private:
    struct Files;  // what is opened on the way, shared by threads

    void begin_stretch();
    void read_description(const std::filesystem::path& file);
    void read_parts(const std::filesystem::path& file, const Json& entry, std::size_t site);
    void read_tokens();
    void check_shards() const;
    void find_numbers();
    std::shared_ptr<const Safetensors> vectors(std::size_t shard) const;
    std::shared_ptr<const Safetensors> stats(std::size_t shard) const;
    std::shared_ptr<const SiteBasis> basis(const SiteShape& site) const;
    /// Of scores, or of vectors where none are kept, of every token.
    Matrix means_of_rows(const SiteShape& site) const;
    void read_scores(const SiteShape& site, const ShardManifest& shard, std::int64_t begin, std::int64_t end,
                     float* out) const;
    /// Of the files that are drawn from all shards; null where it is missing.
    std::shared_ptr<const Safetensors> merged(const char* name) const;
    /// One float32 of each token in [begin, end): from `merged_tensor` of a file that is drawn from all
    /// shards, or from each shard's `shard_tensor`. `what`: for messages.
    std::vector<float> numbers(const char* merged_file, const std::string& merged_tensor,
                               const std::string& shard_tensor, const std::string& what, std::int64_t begin,
                               std::int64_t end) const;

    std::filesystem::path path_;
    Json json_;
    bool complete_ = false;
    std::string model_name_, prompts_;
    std::int64_t d_model_ = 0, n_sequences_ = 0, length_ = 0, planned_tokens_ = 0;
    std::int64_t first_token_ = 0;  // of the planned ones: where a part of a capture begins
    int n_layers_ = 0;
    std::vector<std::string> labels_, scores_;
    std::size_t n_captured_scores_ = 0;  // the first of scores_
    std::vector<LabelColumn> columns_;
    std::vector<SiteShape> sites_;
    std::vector<bool> stored_;                    // per site
    std::vector<std::int64_t> ranks_;             // per site: scores that stand for its vectors
    std::vector<std::vector<std::size_t>> sums_;  // per site: those that it is the sum of
    bool has_means_ = true, has_moments_ = false;
    TokenTable tokens_;
    std::vector<ShardManifest> shards_;
    std::vector<std::int32_t> rows_;
    std::shared_ptr<Files> files_;
};

}  // namespace tomograph
