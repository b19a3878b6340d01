#include "tomograph/store/let_go.h"

#include <set>
#include <string>
#include <vector>

#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/store/layout.h"
#include "tomograph/store/output_folder.h"
#include "tomograph/store/run_stats.h"
#include "tomograph/store/text_file.h"

namespace tomograph {
namespace fs = std::filesystem;
namespace {

/// Some tensors of one file as another.
void copy_tensors(const Safetensors& from, const fs::path& to, const std::vector<std::string>& names) {
    std::vector<TensorData> tensors;
    for (const std::string& name : names) {
        const Safetensors::Tensor& tensor = from.at(name);
        tensors.push_back({{name, tensor.dtype, tensor.shape}, tensor.bytes.data()});
    }
    write_safetensors(to, tensors);
}

/// tokens.safetensors, none of which has a row any more.
void copy_tokens(const fs::path& from, const fs::path& to) {
    const Safetensors tokens(from / layout::kTokens);
    std::vector<std::int32_t> no_row;
    std::vector<TensorData> tensors;
    for (const auto& [name, tensor] : tokens.tensors()) {
        const bool is_row = name == "row";
        if (is_row) no_row.assign(static_cast<std::size_t>(tensor.n_rows()), -1);
        tensors.push_back({{name, tensor.dtype, tensor.shape},
                           is_row ? static_cast<const void*>(no_row.data()) : tensor.bytes.data()});
    }
    write_safetensors(to / layout::kTokens, tensors);
}

Json without_vectors(Json plan, const fs::path& to) {
    for (Json& site : plan.at("sites")) {
        site["vectors"] = false;
        site.erase("scores");
        site.erase("sum_of");
    }
    plan["means"] = false;
    plan.erase("moments");
    Json& capture = plan["capture"];  // an import has none
    capture["vectors"] = capture["means"] = false;
    for (const char* key : {"moments", "scores", "fit_tokens"}) capture.erase(key);
    capture["let_go"] = true;
    Json files = Json::array();
    for (const Json& file : plan.at("tokens")) {
        const std::string name = file_entry(file).file;
        if (name != layout::kBasis) files.push_back(file_entry(name, to / name).json());
    }
    plan["tokens"] = files;
    return plan;
}

}  // namespace

void let_go_of_vectors(const fs::path& path) {
    const Run run = Run::open(path);
    if (!run.complete())
        throw Error(path.string() + " is incomplete", "its vectors are not let go before it is whole", "");
    OutputFolder folder(path, FolderKind::run, Begin::replace);
    const fs::path& to = folder.path();
    const std::set<std::string> made_anew{layout::kRun,    layout::kPlan,  layout::kTokens, layout::kBasis,
                                          layout::kShards, layout::kStats, "projections",   "neighbors"};
    for (const auto& entry : fs::directory_iterator(path)) {
        const std::string name = entry.path().filename().string();
        if (!made_anew.contains(name)) fs::copy(entry.path(), to / name, fs::copy_options::recursive);
    }
    copy_tokens(path, to);
    const Json plan = without_vectors(read_json(path / layout::kPlan), to);
    const std::string plan_text = file_text(plan);
    write_text(to / layout::kPlan, plan_text, true);

    fs::create_directories(to / layout::kShards);
    fs::create_directories(to / layout::kStats);
    std::vector<std::string> kept;
    for (const SiteShape& shape : run.sites()) kept.push_back(layout::norms_tensor(shape.site.name()));
    const auto scores = plan.value("scores", std::vector<std::string>{});
    for (const std::string& score : scores) kept.push_back(layout::scores_tensor(score));
    std::vector<ShardManifest> shards;
    for (const Json& json : run.json().at("shards")) {
        ShardManifest shard = shard_manifest(json);
        const std::string stats = layout::stats_file(shard.number);
        copy_tensors(Safetensors(path / stats), to / stats, kept);
        shard.plan = xxh3_128(std::as_bytes(std::span(plan_text)));
        shard.rows = {};
        shard.files = {file_entry(stats, to / stats)};
        write_text(to / layout::manifest_file(shard.number), file_text(shard.json()), true);
        shards.push_back(std::move(shard));
    }
    const auto stats = write_stats(to, {run.sites(), scores, run.n_tokens()}, shards, true);
    write_text(to / layout::kRun, file_text(run_description(plan, shards, stats, true)), true);
    folder.keep();
}

std::string way_to_vectors(const Run& run, const std::string& otherwise) {
    const fs::path beside = fs::absolute(run.path() / "").parent_path().parent_path();
    return folder_kind(beside) == FolderKind::study ? "make the study again with --all-vectors" : otherwise;
}

}  // namespace tomograph
