#include "tomograph/store/run_stats.h"

#include "tomograph/base/file.h"

namespace tomograph {
namespace fs = std::filesystem;

std::vector<FileEntry> write_stats(const fs::path& run, const StatsPlan& plan,
                                   const std::vector<ShardManifest>& shards, bool durable) {
    std::vector<FileEntry> files;
    /// One file of `names`, each drawn from what the shards call in_shard(name).
    const auto draw = [&](const char* path, const std::vector<std::string>& names,
                          std::string (*in_shard)(const std::string&)) {
        std::vector<TensorSpec> specs;
        for (const std::string& name : names) specs.push_back({name, Dtype::f32, {plan.n_tokens}});
        SafetensorsWriter file(run / path, specs);
        for (const ShardManifest& shard : shards) {
            const Safetensors stats(run / layout::stats_file(shard.number));
            for (std::size_t i = 0; i < names.size(); ++i) {
                const auto bytes = stats.at(in_shard(names[i])).bytes;
                file.write(i, static_cast<std::uint64_t>(shard.tokens.begin) * sizeof(float), bytes.data(),
                           bytes.size());
            }
        }
        files.push_back(file_entry(path, file.temporary()));
        if (durable) file.sync();
        file.finish();
    };
    std::vector<std::string> sites;
    for (const SiteShape& shape : plan.sites) sites.push_back(shape.site.name());
    draw(layout::kNorms, sites, layout::norms_tensor);
    if (!plan.scores.empty()) draw(layout::kScores, plan.scores, layout::scores_tensor);
    if (durable) sync_folder(run / layout::kStats);
    return files;
}

}  // namespace tomograph
