#include "tomograph/store/run_stats.h"

#include <algorithm>

#include "tomograph/base/file.h"
#include "tomograph/base/threads.h"
#include "tomograph/store/sums.h"

namespace tomograph {
namespace fs = std::filesystem;
namespace {

constexpr std::int64_t kMergedNumbers = 8'000'000;  // of means that are formed at once

/// Pieces of means that are formed at once: sites, or positions of one.
struct MeanPiece {
    std::size_t site;
    std::int64_t begin, end;
};

}  // namespace

std::vector<FileEntry> write_stats(const fs::path& run, const StatsPlan& plan,
                                   const std::vector<ShardManifest>& shards, bool durable, int threads) {
    const std::int64_t length = plan.length;
    std::vector<TensorSpec> norm_specs, mean_specs;
    std::vector<MeanPiece> pieces;
    std::uint64_t mean_bytes = 0, shard_bytes = 0;
    for (std::size_t i = 0; i < plan.sites.size(); ++i) {
        norm_specs.push_back({plan.sites[i].site.name(), Dtype::f32, {plan.n_tokens}});
    }
    for (std::size_t i = 0; i < plan.summed.size(); ++i) {
        mean_specs.push_back(layout::row_spec(plan.summed[i], length, Dtype::f32));
        mean_bytes += mean_specs.back().n_bytes();
        const std::int64_t most = std::max<std::int64_t>(1, kMergedNumbers / plan.summed[i].width());
        for (std::int64_t begin = 0; begin < length; begin += most)
            pieces.push_back({i, begin, std::min(length, begin + most)});
    }
    for (const ShardManifest& shard : shards) {
        for (const FileEntry& file : shard.files) shard_bytes += file.bytes;
    }
    std::vector<FileEntry> files;
    const auto seal = [&](SafetensorsWriter& file, const char* name) {
        files.push_back(file_entry(name, file.temporary()));
        if (durable) file.sync();
        file.finish();
    };

    SafetensorsWriter norms(run / layout::kNorms, norm_specs);
    for (const ShardManifest& shard : shards) {
        const Safetensors stats(run / layout::stats_file(shard.number));
        for (std::size_t i = 0; i < plan.sites.size(); ++i) {
            const auto bytes = stats.at(layout::norms_tensor(plan.sites[i].site.name())).bytes;
            norms.write(i, static_cast<std::uint64_t>(shard.tokens.begin) * sizeof(float), bytes.data(),
                        bytes.size());
        }
    }
    seal(norms, layout::kNorms);

    if (!plan.scores.empty()) {
        std::vector<TensorSpec> specs;
        for (const std::string& score : plan.scores) specs.push_back({score, Dtype::f32, {plan.n_tokens}});
        SafetensorsWriter scores(run / layout::kScores, specs);
        for (const ShardManifest& shard : shards) {
            const Safetensors stats(run / layout::stats_file(shard.number));
            for (std::size_t i = 0; i < plan.scores.size(); ++i) {
                const auto bytes = stats.at(layout::scores_tensor(plan.scores[i])).bytes;
                scores.write(i, static_cast<std::uint64_t>(shard.tokens.begin) * sizeof(float), bytes.data(),
                             bytes.size());
            }
        }
        seal(scores, layout::kScores);
    }

    // Positions far apart would make a table that is nearly empty and larger than all the run: then readers
    // form the means from the shards' sums.
    constexpr std::uint64_t kSmall = 64'000'000;
    if (!plan.summed.empty() && mean_bytes <= kSmall + 4 * shard_bytes) {
        SafetensorsWriter means(run / layout::kMeans, mean_specs);
        for (std::size_t begin = 0; begin < pieces.size();) {
            std::vector<MeanBuilder> builders;
            std::int64_t numbers = 0;
            std::size_t end = begin;
            for (; end < pieces.size(); ++end) {
                const SiteShape& site = plan.summed[pieces[end].site];
                numbers += (pieces[end].end - pieces[end].begin) * site.width();
                if (end > begin && numbers > kMergedNumbers) break;
                builders.emplace_back(site, pieces[end].begin, pieces[end].end);
            }
            for (const ShardManifest& shard : shards) {
                const Safetensors stats(run / layout::stats_file(shard.number));
                parallel_for(static_cast<std::int64_t>(builders.size()), threads,
                             [&](std::int64_t i) { builders[static_cast<std::size_t>(i)].add(stats); });
            }
            parallel_for(static_cast<std::int64_t>(builders.size()), threads, [&](std::int64_t b) {
                const std::size_t i = begin + static_cast<std::size_t>(b);
                const Matrix values = builders[i - begin].means();
                means.write(pieces[i].site,
                            static_cast<std::uint64_t>(pieces[i].begin * values.cols()) * sizeof(float),
                            values.data(), static_cast<std::size_t>(values.size()) * sizeof(float));
            });
            begin = end;
        }
        seal(means, layout::kMeans);
    }
    if (durable) sync_folder(run / layout::kStats);
    return files;
}

}  // namespace tomograph
