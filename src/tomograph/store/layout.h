#pragma once
#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "tomograph/base/json.h"
#include "tomograph/store/safetensors.h"
#include "tomograph/words/label_column.h"
#include "tomograph/words/site.h"

/// Names and records inside a run folder; docs/run-format.md describes them. For the store room's own use:
/// the writer and the reader are all that knows them.
namespace tomograph {

/// Version of the run folder. A reader refuses any other.
inline constexpr int kRunFormat = 2;

/// Bounds of what a run may hold: far above any real one, and small enough for everything that indexes by
/// these numbers.
inline constexpr std::int64_t kMostPositions = 1 << 24;
inline constexpr std::int64_t kMostSequences = 1 << 30;
inline constexpr std::int64_t kMostLabels = 32'767;
inline constexpr std::int64_t kMostLayers = 32'767;
inline constexpr std::int64_t kMostShards = 1'000'000;

/// One entry a token, in the order in which the model read them.
struct TokenTable {
    std::vector<std::int32_t> token_id;  ///< -1: a raw vector, no token
    std::vector<std::int32_t> position;
    std::vector<std::int32_t> sequence;
    std::vector<std::int32_t> label;  ///< index into the labels of run.json; -1: none
    std::vector<std::int32_t> row;    ///< of the token's vector among the run's rows; -1: it is not kept
    /// One a further column of labels (Run::columns()): index into its words, or a number; -1: none.
    std::vector<std::vector<std::int32_t>> further;

    std::int64_t size() const { return static_cast<std::int64_t>(token_id.size()); }
};

/// The columns of tokens.safetensors, in its order: the one list of them.
struct TokenColumn {
    const char* name;
    std::vector<std::int32_t> TokenTable::* values;
};
inline constexpr std::array<TokenColumn, 5> kTokenColumns{{{"token_id", &TokenTable::token_id},
                                                           {"position", &TokenTable::position},
                                                           {"sequence", &TokenTable::sequence},
                                                           {"label", &TokenTable::label},
                                                           {"row", &TokenTable::row}}};

namespace layout {

inline constexpr const char* kRun = "run.json";
inline constexpr const char* kPlan = "plan.json";
inline constexpr const char* kTokens = "tokens.safetensors";
inline constexpr const char* kPieces = "tokens.jsonl";
inline constexpr const char* kTexts = "texts.jsonl";
inline constexpr const char* kBasis = "basis.safetensors";
inline constexpr const char* kShards = "shards";
inline constexpr const char* kStats = "stats";
inline constexpr const char* kNorms = "stats/norms.safetensors";
inline constexpr const char* kScores = "stats/scores.safetensors";
inline constexpr const char* kNumbers = "numbers";
inline constexpr const char* kStudy = "study.json";

/// Files of shard `number`: "shards/000012.safetensors", "….stats.safetensors", "….json".
std::string vectors_file(std::size_t number);
std::string stats_file(std::size_t number);
std::string moments_file(std::size_t number);
std::string manifest_file(std::size_t number);

/// Tensors of a shard's stats file.
inline constexpr const char* kSumPositions = "positions";
inline constexpr const char* kSumCounts = "counts";
std::string norms_tensor(const std::string& site);
std::string sums_tensor(const std::string& site);
std::string scores_tensor(const std::string& score);
/// Tensors of a shard's vectors file where scores on axes stand for them.
std::string axis_scores_tensor(const std::string& site);
std::string residuals_tensor(const std::string& site);
/// Tensors of basis.safetensors.
std::string basis_mean_tensor(const std::string& site);
std::string basis_components_tensor(const std::string& site);
std::string basis_scale_tensor(const std::string& site);

/// "numbers/lens_depth.safetensors", whose one tensor has its name. A name is lower-case letters, digits and
/// underscores.
std::string numbers_file(const std::string& name);
bool is_number_name(const std::string& name);

/// Spec of a tensor [n, …shape of the site].
TensorSpec row_spec(const SiteShape& site, std::int64_t n, Dtype dtype);

/// The sites with the shapes that their sums by position have: scores instead of vectors where `ranks` says
/// that these are kept.
std::vector<SiteShape> summed_sites(std::vector<SiteShape> sites, const std::vector<std::int64_t>& ranks);

}  // namespace layout

/// Further columns of labels as run.json has them, an array.
Json columns_json(const std::vector<LabelColumn>& columns);
/// Errors: JSON's own; JsonError for a name that is there twice or is not one.
std::vector<LabelColumn> columns_from_json(const Json& json);

/// A file of the run as it was written.
struct FileEntry {
    std::string file;  ///< relative to the run
    std::uint64_t bytes = 0;
    std::string xxh3_128;

    Json json() const;
    bool operator==(const FileEntry&) const = default;
};
/// Errors: JSON's own, for a key that is missing or of another type.
FileEntry file_entry(const Json& json);
/// Of a file on disk under another name: a temporary.
FileEntry file_entry(std::string name, const std::filesystem::path& on_disk);

/// What one shard holds; [begin, end) each.
struct ShardManifest {
    struct Span {
        std::int64_t begin = 0, end = 0;
        std::int64_t size() const { return end - begin; }
        bool operator==(const Span&) const = default;
    };
    std::size_t number = 0;
    std::string plan;  ///< checksum of the plan.json that it was captured by
    Span sequences, tokens, rows;
    std::vector<FileEntry> files;

    Json json() const;
    bool operator==(const ShardManifest&) const = default;
};
/// Errors: JSON's own, for a key that is missing or of another type.
ShardManifest shard_manifest(const Json& json);

/// run.json, from the plan and what has been written since: all shards, or the stretch of them that can be
/// read.
Json run_description(const Json& plan, const std::vector<ShardManifest>& shards,
                     const std::vector<FileEntry>& stats, bool complete);

/// Text of a JSON file as the store writes it.
std::string file_text(const Json& json);

/// Manifest of one shard. Errors: Error when it is missing or cannot be read.
ShardManifest read_manifest(const std::filesystem::path& run, std::size_t number);

/// The shards whose manifests are there, from the first on without a gap, of a plan's `shard_ends`. Where the
/// plan has parts, the first stretch of them that is there, wherever it begins.
/// Errors: Error when a manifest cannot be read; JSON's own for the plan.
std::vector<ShardManifest> read_manifests(const std::filesystem::path& run, const Json& plan);

}  // namespace tomograph
