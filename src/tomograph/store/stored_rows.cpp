#include "tomograph/store/stored_rows.h"

#include <fmt/format.h>

#include "tomograph/base/error.h"
#include "tomograph/store/layout.h"
#include "tomograph/store/let_go.h"
#include "tomograph/store/safetensors.h"

namespace tomograph {

std::size_t shard_count(const Run& run) {
    return run.json().at("shards").size();
}

StoredRows stored_rows(const Run& run, const Site& site, std::size_t number) {
    const std::vector<Site> parts = run.sum_of(site);
    const std::string name = parts.size() == 1 ? parts.front().name() : run.site(site).site.name();
    if (!run.has_vectors(site))
        throw Error("no vectors of " + name + " are kept in " + run.path().string(),
                    "it holds their norms and means only",
                    way_to_vectors(run, "capture it again with its vectors"));
    if (number >= shard_count(run))
        throw Error(fmt::format("no shard {} in {}", number, run.path().string()),
                    fmt::format("it has {}", shard_count(run)), "");
    // Run::open() has read all manifests: these keys are there.
    const ShardManifest shard = shard_manifest(run.json().at("shards")[number]);
    if (shard.rows.size() == 0 || run.rank(site) > 0 || parts.size() > 1)
        return {.begin = shard.rows.begin, .end = shard.rows.end};
    auto file = std::make_shared<const Safetensors>(run.path() / layout::vectors_file(shard.number));
    const Safetensors::Tensor& tensor = file->at(name);
    if (tensor.n_rows() != shard.rows.size() || tensor.width() != run.site(site).width() ||
        tensor.dtype == Dtype::i32)
        throw Error(file->path().string() + " does not fit its run",
                    name + " has another shape than run.json says", "capture it again");
    return {.file = file,
            .data = tensor.bytes.data(),
            .dtype = tensor.dtype,
            .begin = shard.rows.begin,
            .end = shard.rows.end};
}

}  // namespace tomograph
