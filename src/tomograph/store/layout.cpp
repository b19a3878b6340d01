#include "tomograph/store/layout.h"

#include <fmt/format.h>

#include <algorithm>

#include "tomograph/base/checksum.h"
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
std::string moments_file(std::size_t number) {
    return fmt::format("{}/{:06}.moments.safetensors", kShards, number);
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

std::string axis_scores_tensor(const std::string& site) {
    return "scores/" + site;
}
std::string residuals_tensor(const std::string& site) {
    return "residual/" + site;
}
std::string basis_mean_tensor(const std::string& site) {
    return "mean/" + site;
}
std::string basis_components_tensor(const std::string& site) {
    return "components/" + site;
}
std::string basis_scale_tensor(const std::string& site) {
    return "scale/" + site;
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

std::vector<SiteShape> summed_sites(std::vector<SiteShape> sites, const std::vector<std::int64_t>& ranks) {
    for (std::size_t i = 0; i < sites.size(); ++i) {
        if (ranks[i] > 0) sites[i].shape = {ranks[i]};
    }
    return sites;
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
    FileChecksum sum = file_checksum(on_disk);
    return {std::move(name), sum.bytes, std::move(sum.xxh3_128)};
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
    run.erase("part_ends");
    run["status"] = complete ? "complete" : "incomplete";
    run["n_rows"] = shards.empty() ? 0 : shards.back().rows.end - shards.front().rows.begin;
    run["shards"] = Json::array();
    for (const ShardManifest& shard : shards) run["shards"].push_back(shard.json());
    run["stats"] = Json::array();
    for (const FileEntry& file : stats) run["stats"].push_back(file.json());
    return run;
}

std::string file_text(const Json& json) {
    return json_text(json, 1) + "\n";
}

ShardManifest read_manifest(const std::filesystem::path& run, std::size_t number) {
    const std::filesystem::path file = run / layout::manifest_file(number);
    try {
        ShardManifest manifest = shard_manifest(read_json(file));
        if (manifest.number != number)
            throw JsonError(fmt::format("it is that of shard {}", manifest.number));
        return manifest;
    } catch (const Json::exception& e) {
        throw Error(file.string() + " is not a shard's manifest", json_reason(e),
                    "delete it, and capture again with --resume");
    }
}

std::vector<ShardManifest> read_manifests(const std::filesystem::path& run, const Json& plan) {
    std::vector<ShardManifest> shards;
    std::error_code error;
    const auto there = [&](std::size_t number) {
        return std::filesystem::exists(run / layout::manifest_file(number), error);
    };
    const std::size_t end = plan.at("shard_ends").size();
    std::size_t number = 0;
    if (plan.contains("part_ends")) {
        while (number < end && !there(number)) ++number;
    }
    for (; number < end && there(number); ++number) shards.push_back(read_manifest(run, number));
    return shards;
}

}  // namespace tomograph
