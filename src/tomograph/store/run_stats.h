#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "tomograph/store/layout.h"
#include "tomograph/words/site.h"

/// What is drawn from all shards of a run together. For the store room's own use.
namespace tomograph {

/// What of a run's plan stats/ depends on.
struct StatsPlan {
    std::vector<SiteShape> sites;
    std::vector<std::string> scores;
    std::int64_t n_tokens = 0;
};

/// Writes stats/* of a run whose shards are all whole: what is one number a token. Means by position stay with
/// the shards, as their sums: another copy would be as large.
std::vector<FileEntry> write_stats(const std::filesystem::path& run, const StatsPlan& plan,
                                   const std::vector<ShardManifest>& shards, bool durable);

}  // namespace tomograph
