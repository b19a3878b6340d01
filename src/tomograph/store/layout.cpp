#include "tomograph/store/layout.h"

#include <fmt/format.h>

#include <algorithm>

#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/base/json_reason.h"

namespace tomograph {
namespace layout {

std::string vectors_file(std::size_t number) {
    return fmt::format("{}/{:06}.safetensors", kShards, number);
}
std::string stats_file(std::size_t number) {
    return fmt::format("{}/{:06}.stats.safetensors", kShards, number);
}
std::string manifest_file(std::size_t number) {
    return fmt::format("{}/{:06}.json", kShards, number);
}

std::string norms_tensor(const std::string& site) {
    return "norms/" + site;
}
std::string sums_tensor(const std::string& site) {
    return "sums/" + site;
}
std::string scores_tensor(const std::string& score) {
    return "scores/" + score;
}

std::string numbers_file(const std::string& name) {
    return fmt::format("{}/{}.safetensors", kNumbers, name);
}
bool is_number_name(const std::string& name) {
    return !name.empty() && std::ranges::all_of(name, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    });
}

TensorSpec row_spec(const SiteShape& site, std::int64_t n, Dtype dtype) {
    TensorSpec spec{site.site.name(), dtype, {n}};
    spec.shape.insert(spec.shape.end(), site.shape.begin(), site.shape.end());
    return spec;
}

}  // namespace layout

namespace {

Json span_json(const ShardManifest::Span& span) {
    return Json::array({span.begin, span.end});
}

ShardManifest::Span span_of(const Json& json) {
    return {whole_number<std::int64_t>(json.at(0), "a bound"),
            whole_number<std::int64_t>(json.at(1), "a bound")};
}

}  // namespace

Json columns_json(const std::vector<LabelColumn>& columns) {
    Json json = Json::array();
    for (const LabelColumn& column : columns) {
        json.push_back({{"name", column.name}});
        if (!column.counts()) json.back()["words"] = column.words;
    }
    return json;
}

std::vector<LabelColumn> columns_from_json(const Json& json) {
    std::vector<LabelColumn> columns;
    for (const Json& entry : json) {
        LabelColumn column{entry.at("name").get<std::string>(),
                           entry.value("words", std::vector<std::string>{})};
        const auto taken = [&](const auto& other) { return column.name == other.name; };
        if (column.name.empty() || std::any_of(columns.begin(), columns.end(), taken) ||
            std::any_of(kTokenColumns.begin(), kTokenColumns.end(), taken))
            throw JsonError(fmt::format("'{}' names no further column", column.name));
        if (static_cast<std::int64_t>(column.words.size()) > kMostLabels)
            throw JsonError(fmt::format("the column '{}' has {} words", column.name, column.words.size()));
        columns.push_back(std::move(column));
    }
    return columns;
}

Json FileEntry::json() const {
    return {{"file", file}, {"bytes", bytes}, {"xxh3_128", xxh3_128}};
}

FileEntry file_entry(const Json& json) {
    return {json.at("file").get<std::string>(), whole_number<std::uint64_t>(json.at("bytes"), "bytes"),
            json.at("xxh3_128").get<std::string>()};
}

FileEntry file_entry(std::string name, const std::filesystem::path& on_disk) {
    const MappedFile file(on_disk);
    FileEntry entry{std::move(name), file.bytes().size(), xxh3_128(file.bytes())};
    file.release();
    return entry;
}

Json ShardManifest::json() const {
    Json json = {{"shard", number},
                 {"plan", plan},
                 {"sequences", span_json(sequences)},
                 {"tokens", span_json(tokens)},
                 {"rows", span_json(rows)},
                 {"files", Json::array()}};
    for (const FileEntry& file : files) json["files"].push_back(file.json());
    return json;
}

ShardManifest shard_manifest(const Json& json) {
    ShardManifest manifest{whole_number<std::size_t>(json.at("shard"), "shard"),
                           json.at("plan").get<std::string>(),
                           span_of(json.at("sequences")),
                           span_of(json.at("tokens")),
                           span_of(json.at("rows")),
                           {}};
    for (const Json& file : json.at("files")) manifest.files.push_back(file_entry(file));
    return manifest;
}

Json run_description(const Json& plan, const std::vector<ShardManifest>& shards,
                     const std::vector<FileEntry>& stats, bool complete) {
    Json run = plan;
    run.erase("shard_ends");
    run["status"] = complete ? "complete" : "incomplete";
    run["n_rows"] = shards.empty() ? 0 : shards.back().rows.end;
    run["shards"] = Json::array();
    for (const ShardManifest& shard : shards) run["shards"].push_back(shard.json());
    run["stats"] = Json::array();
    for (const FileEntry& file : stats) run["stats"].push_back(file.json());
    return run;
}

std::string file_text(const Json& json) {
    return json_text(json, 1) + "\n";
}

std::vector<ShardManifest> read_manifests(const std::filesystem::path& run, std::size_t most) {
    std::vector<ShardManifest> shards;
    std::error_code error;
    while (shards.size() < most) {
        const std::filesystem::path file = run / layout::manifest_file(shards.size());
        if (!std::filesystem::exists(file, error)) break;
        try {
            shards.push_back(shard_manifest(read_json(file)));
        } catch (const Json::exception& e) {
            throw Error(file.string() + " is not a shard's manifest", json_reason(e),
                        "delete it, and capture again with --resume");
        }
    }
    return shards;
}

}  // namespace tomograph
