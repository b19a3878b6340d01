#include "tomograph/store/verify.h"

#include <fmt/format.h>

#include <algorithm>

#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/base/json_reason.h"
#include "tomograph/store/layout.h"
#include "tomograph/store/output_folder.h"

namespace tomograph {
namespace fs = std::filesystem;
namespace {

/// Where a damaged description may point is nobody's business: only plain names below the run are read.
bool stays_inside(const std::string& file) {
    const fs::path path(file);
    return path.is_relative() && path.lexically_normal() == path &&
           std::none_of(path.begin(), path.end(), [](const fs::path& part) { return part == ".."; });
}

class Verifier {
  public:
    explicit Verifier(const fs::path& run, Progress& progress) : run_(run), progress_(progress) {}

    void check(const FileEntry& entry) {
        if (progress_.stop_requested())
            throw Stopped(
                fmt::format("{} files were compared, {} are damaged", result.n_files, result.faults.size()));
        ++result.n_files;
        if (!stays_inside(entry.file)) return fault(entry.file, "is not a name inside the run");
        try {
            const FileEntry now = file_entry(entry.file, run_ / entry.file);
            result.bytes += now.bytes;
            if (now.bytes != entry.bytes)
                fault(entry.file, fmt::format("has {} bytes, {} were written", now.bytes, entry.bytes));
            else if (now.xxh3_128 != entry.xxh3_128)
                fault(entry.file, "does not hold the bytes that were written");
        } catch (const Error& e) {
            std::error_code error;
            fault(entry.file, fs::exists(run_ / entry.file, error) ? e.what() : "is missing");
        }
        progress_.update(static_cast<std::int64_t>(result.bytes));
    }

    void count() { ++result.n_files; }

    /// A shard's manifest and run.json say different things: the files decide which of them is damaged.
    void judge(const ShardManifest& manifest, const ShardManifest& listed) {
        const auto holds = [&](const ShardManifest& shard) {
            return std::all_of(shard.files.begin(), shard.files.end(), [&](const FileEntry& entry) {
                std::error_code error;
                return stays_inside(entry.file) && fs::exists(run_ / entry.file, error) &&
                       file_entry(entry.file, run_ / entry.file) == entry;
            });
        };
        const std::string name = layout::manifest_file(manifest.number);
        result.n_files += manifest.files.size();
        const bool by_manifest = holds(manifest), by_list = holds(listed);
        if (!by_manifest || by_list) fault(name, "does not say of its files what run.json says");
        if (by_manifest || !by_list) fault(layout::kRun, "does not say of its files what " + name + " says");
    }

    void fault(const std::string& file, const std::string& what) { result.faults.push_back({file, what}); }

    Verification result;

  private:
    const fs::path& run_;
    Progress& progress_;
};

}  // namespace

Verification verify_run(const fs::path& path, Progress& progress) {
    if (folder_kind(path) != FolderKind::run)
        throw Error(path.string() + " is no run", "only runs have checksums", "");
    const fs::path plan_file = path / layout::kPlan, run_file = path / layout::kRun;
    std::error_code error;
    const Json run = fs::exists(run_file, error) ? read_json(run_file) : Json();
    if (!run.is_null()) {
        const Json format = run.is_object() ? run.value("format", Json()) : Json();
        if (format != kRunFormat)
            throw Error(path.string() + " has checksums that cannot be read here",
                        fmt::format("its format is {}, known is {}", json_text(format), kRunFormat), "");
    }
    const std::string plan_text = read_file(plan_file);
    const Json plan = read_json(plan_file);
    Verifier verifier(path, progress);
    try {
        const bool complete = run.is_object() && run.value("status", Json()) == "complete";
        const std::size_t n_shards = plan.at("shard_ends").size();
        const Json& listed = complete ? run.at("shards") : Json::array();
        std::vector<ShardManifest> shards;
        std::uint64_t total = 0;
        for (std::size_t i = 0; i < n_shards; ++i) {
            const std::string name = layout::manifest_file(i);
            if (!fs::exists(path / name, error)) continue;
            verifier.count();
            try {
                shards.push_back(shard_manifest(read_json(path / name)));
            } catch (const std::exception&) {
                verifier.fault(name, "cannot be read");
                continue;
            }
            for (const FileEntry& file : shards.back().files) total += file.bytes;
            if (shards.back().plan != xxh3_128(std::as_bytes(std::span(plan_text))))
                verifier.fault(name, "names another plan.json, or plan.json is damaged");
            else if (file_text(shards.back().json()) != read_file(path / name))
                verifier.fault(name, "does not hold the bytes that were written");
        }
        progress.begin("verify " + path.string(), static_cast<std::int64_t>(total), "bytes");
        for (const Json& file : plan.at("tokens")) verifier.check(file_entry(file));
        for (const ShardManifest& shard : shards) {
            const Json said = shard.number < listed.size() ? listed.at(shard.number) : shard.json();
            if (said == shard.json())
                for (const FileEntry& file : shard.files) verifier.check(file);
            else
                verifier.judge(shard, shard_manifest(said));
        }
        if (run.is_object()) {
            verifier.count();
            std::vector<FileEntry> stats;
            for (const Json& file : run.at("stats")) stats.push_back(file_entry(file));
            for (const FileEntry& file : stats) verifier.check(file);
            if (complete && shards.size() != n_shards)
                verifier.fault(layout::kRun,
                               fmt::format("lists {} shards, {} have a manifest that can be read", n_shards,
                                           shards.size()));
            else if (complete && verifier.result.faults.empty() &&
                     read_file(run_file) != file_text(run_description(plan, shards, stats, true)))
                verifier.fault(layout::kRun, "is not what plan.json and the manifests say");
        }
    } catch (const Json::exception& e) {
        throw Error(path.string() + " cannot be verified", json_reason(e), "capture it again");
    }
    progress.end();
    return std::move(verifier.result);
}

}  // namespace tomograph
