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
    std::vector<SiteShape> summed;  ///< with the shapes that their sums have; empty: there are none
    std::vector<std::string> scores;
    std::int64_t n_tokens = 0;
    std::int64_t length = 0;  ///< of the longest sequence
};

/// Writes stats/* of a run whose shards are all whole. Memory: 64 MB of means at a time, formed on
/// `threads`.
std::vector<FileEntry> write_stats(const std::filesystem::path& run, const StatsPlan& plan,
                                   const std::vector<ShardManifest>& shards, bool durable, int threads);

}  // namespace tomograph
