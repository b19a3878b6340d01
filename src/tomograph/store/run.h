#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tomograph/base/json.h"
#include "tomograph/base/matrix.h"
#include "tomograph/store/safetensors.h"
#include "tomograph/words/site.h"

namespace tomograph {

/// Version of the run folder. A reader refuses a newer one.
inline constexpr int kRunFormat = 1;

/// One entry a token, in the order in which the model read them.
struct TokenTable {
    std::vector<std::int32_t> token_id;  ///< -1: a raw vector, no token
    std::vector<std::int32_t> position;
    std::vector<std::int32_t> sequence;
    std::vector<std::int32_t> label;  ///< index into the labels of run.json; -1: none

    std::int64_t size() const { return static_cast<std::int64_t>(token_id.size()); }
};

/// A finished or interrupted run on disk, opened for reading. docs/run-format.md describes every file.
class Run {
  public:
    /// Errors: Error when `path` is no run folder, is a study, was written by a newer version, or when its
    /// files do not fit each other.
    static Run open(const std::filesystem::path& path);

    const std::filesystem::path& path() const { return path_; }
    /// run.json.
    const Json& json() const { return json_; }
    /// False after a capture that was stopped or killed: the shards that are listed are whole nevertheless.
    bool complete() const { return complete_; }
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
    /// Captured sites in network order.
    const std::vector<SiteShape>& sites() const { return sites_; }
    /// Errors: Error that names the sites there are.
    const SiteShape& site(const Site& site) const;
    bool has_site(const Site& site) const;
    /// False where the run keeps a site's norms and means only.
    bool has_vectors(const Site& site) const;

    const TokenTable& tokens() const { return tokens_; }
    /// Bytes of each token, read from tokens.jsonl on first use. "" for raw vectors.
    const std::vector<std::string>& pieces() const;

    /// Vectors on disk: 0 when the run keeps norms and means only.
    std::int64_t n_rows() const { return static_cast<std::int64_t>(rows_.size()); }
    /// Index into tokens() of each stored row.
    const std::vector<std::int32_t>& rows() const { return rows_; }
    /// Rows [begin, end) of one site, float32 [end - begin, width].
    void read_rows(const Site& site, std::int64_t begin, std::int64_t end, float* out) const;

    /// Let go of the memory of rows that were read, which the system would keep for as long as it has room.
    void release() const;

    bool has_stats() const;
    /// Norm of every token at a site, [n_tokens].
    std::vector<float> norms(const Site& site) const;
    /// Mean over sequences at each position, [length, width].
    Matrix means(const Site& site) const;

  private:
    struct Shard {
        std::int64_t first_row;
        std::shared_ptr<Safetensors> file;
    };
    const Safetensors& stats_file(const char* name) const;

    std::filesystem::path path_;
    Json json_;
    bool complete_ = false;
    std::string model_name_, prompts_;
    std::int64_t d_model_ = 0, n_sequences_ = 0, length_ = 0;
    int n_layers_ = 0;
    std::vector<std::string> labels_;
    std::vector<SiteShape> sites_;
    std::vector<bool> stored_;  // per site
    TokenTable tokens_;
    std::vector<Shard> shards_;
    std::vector<std::int32_t> rows_;
    mutable std::map<std::string, std::shared_ptr<Safetensors>> stats_;
    mutable std::shared_ptr<std::vector<std::string>> pieces_;
};

/// Shards whose bytes are no longer those that were written, by the checksums of run.json; relative to the
/// run. Reads every vector. `n_checked`: shards that have a checksum.
std::vector<std::string> damaged_shards(const Run& run, std::size_t* n_checked = nullptr);

/// What `path` is.
enum class FolderKind { none, run, study, other };
FolderKind folder_kind(const std::filesystem::path& path);

/// Refuse an output folder that exists, unless `force`; with force refuse what is not ours to delete.
/// Nothing is deleted here. Errors: Error with the mend.
void check_output_folder(const std::filesystem::path& path, bool force);

}  // namespace tomograph
