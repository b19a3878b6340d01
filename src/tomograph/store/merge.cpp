#include "tomograph/store/merge.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/base/json_reason.h"
#include "tomograph/store/layout.h"
#include "tomograph/store/plan_file.h"
#include "tomograph/store/run.h"
#include "tomograph/store/run_stats.h"
#include "tomograph/store/text_file.h"

namespace tomograph {
namespace fs = std::filesystem;
namespace {

/// What tells two machines apart and not two captures.
const std::vector<std::string_view> kMayDiffer{"/program/command", "/program/backend/system",
                                               "/program/backend/workers", "/model/path"};

/// A shard, and the folder that has it.
struct Source {
    fs::path run;
    ShardManifest manifest;
};

class Merger {
  public:
    Merger(const std::vector<fs::path>& runs, const MergeOptions& options, Progress& progress)
        : options_(options), progress_(progress) {
        if (runs.empty()) throw Error("no run to merge", "", "name the parts of a capture");
        for (const fs::path& run : runs) add(run);
    }

    MergeSummary write(const fs::path& out) {
        OutputFolder folder(out, FolderKind::run, options_.begin);
        const fs::path& run = folder.path();
        std::uint64_t total = 0;
        for (const auto& source : shards_) {
            for (const FileEntry& file : source->manifest.files) total += file.bytes;
        }
        progress_.begin("merge " + out.string(), static_cast<std::int64_t>(total), "bytes");
        write_text(run / layout::kPlan, plan_text_, true);
        for (const Json& file : plan_.at("tokens")) take(plan_of_, run, file_entry(file));
        fs::create_directories(run / layout::kShards);
        fs::create_directories(run / layout::kStats);
        std::vector<ShardManifest> manifests;
        const std::string plan_hash = xxh3_128(std::as_bytes(std::span(plan_text_)));
        for (const auto& source : shards_) {
            for (const FileEntry& file : source->manifest.files) take(source->run, run, file);
            manifests.push_back(source->manifest);
            manifests.back().plan = plan_hash;
            write_text(run / layout::manifest_file(manifests.size() - 1), file_text(manifests.back().json()),
                       true);
        }
        sync_folder(run / layout::kShards);
        // Reading it checks that what was put together is a run.
        const Run merged = Run::open(run);
        const std::vector<FileEntry> stats =
            write_stats(run,
                        {merged.sites(), merged.json().value("scores", std::vector<std::string>{}),
                         merged.n_tokens()},
                        manifests, true);
        write_text(run / layout::kRun, file_text(run_description(plan_, manifests, stats, true)), true);
        sync_folder(run);
        folder.keep();
        progress_.end();
        summary_.n_parts = parts_.size();
        summary_.n_shards = manifests.size();
        summary_.n_sequences = merged.n_sequences();
        summary_.n_tokens = merged.n_tokens();
        return summary_;
    }

    /// What is wrong with the first part that is missing or not finished.
    std::optional<Error> missing() const {
        for (std::size_t i = 0; i < parts_.size(); ++i) {
            std::size_t there = 0;
            const Source* one = nullptr;
            for (std::size_t s = parts_[i].begin; s < parts_[i].end; ++s) {
                if (!shards_[s]) continue;
                ++there;
                one = &*shards_[s];
            }
            const std::string name = fmt::format("{}/{}", i + 1, parts_.size());
            if (there == parts_[i].size()) continue;
            if (there == 0)
                return Error(fmt::format("part {} is missing", name), "no folder that was named has it",
                             fmt::format("capture it with --part {}", name));
            return Error(
                fmt::format("part {} is not finished", name),
                fmt::format("{} has {} of its {} shards", one->run.string(), there, parts_[i].size()),
                fmt::format("go on with --part {} --resume", name));
        }
        return std::nullopt;
    }

  private:
    void add(const fs::path& run) {
        if (folder_kind(run) != FolderKind::run)
            throw Error(run.string() + " is no run", "only the parts of one capture can be merged", "");
        const std::string text = read_file(run / layout::kPlan);
        const Json plan = read_json(run / layout::kPlan);
        try {
            if (const Json format = plan.at("format"); format != kRunFormat)
                throw Error(run.string() + " cannot be merged",
                            fmt::format("its format is {}, known is {}", json_text(format), kRunFormat), "");
            if (!plan.contains("part_ends"))
                throw Error(run.string() + " is no part of a capture", "it was captured whole",
                            "capture the parts with --part 1/N to N/N");
            if (plan_.is_null()) {
                plan_ = plan;
                plan_text_ = text;
                plan_of_ = run;
                parts_ = part_shards(plan);
                shards_.resize(plan.at("shard_ends").size());
            } else if (const std::string differences = differences_of(plan_, plan, kMayDiffer);
                       !differences.empty()) {
                throw Error(
                    fmt::format("{} and {} are not parts of one capture", plan_of_.string(), run.string()),
                    differences, "merge the parts of one capture only");
            }
            add_shards(run, xxh3_128(std::as_bytes(std::span(text))));
        } catch (const Json::exception& e) {
            throw Error((run / layout::kPlan).string() + " is not a run's plan", json_reason(e),
                        "capture the part again");
        }
    }

    void add_shards(const fs::path& run, const std::string& plan_hash) {
        std::error_code error;
        const Json& ends = plan_.at("shard_ends");
        for (std::size_t number = 0; number < shards_.size(); ++number) {
            if (!fs::exists(run / layout::manifest_file(number), error)) continue;
            ShardManifest manifest = read_manifest(run, number);
            const auto end = whole_number<std::int64_t>(ends.at(number), "a shard's end");
            if (manifest.plan != plan_hash || manifest.tokens.end != end)
                throw Error((run / layout::manifest_file(number)).string() + " does not fit its run",
                            "it belongs to another capture", "go on with --resume, which captures it again");
            if (shards_[number])
                throw Error(fmt::format("part {}/{} is there twice", part_of(number) + 1, parts_.size()),
                            fmt::format("{} and {} both have shard {}", shards_[number]->run.string(),
                                        run.string(), number),
                            "name each part once");
            shards_[number] = Source{run, std::move(manifest)};
        }
    }

    std::size_t part_of(std::size_t shard) const {
        const auto part = std::find_if(parts_.begin(), parts_.end(), [&](const PartShards& p) {
            return shard >= p.begin && shard < p.end;
        });
        return static_cast<std::size_t>(part - parts_.begin());
    }

    /// A file of a part, under the same name in the merged run, once it has been found whole.
    void take(const fs::path& from, const fs::path& to, const FileEntry& entry) {
        if (progress_.stop_requested()) throw Stopped("nothing is kept");
        const fs::path source = from / entry.file, target = to / entry.file;
        const FileEntry now = file_entry(entry.file, source);
        const auto damaged = [&](const std::string& what) {
            throw Error(fmt::format("{} was cut or damaged", source.string()), what,
                        "copy it again; or delete its shard's .json and go on with --resume");
        };
        if (now.bytes != entry.bytes)
            damaged(fmt::format("it has {} bytes, {} were written", now.bytes, entry.bytes));
        if (now.xxh3_128 != entry.xxh3_128) damaged("it does not hold the bytes that were written");
        std::error_code error;
        if (!options_.copy) fs::create_hard_link(source, target, error);
        if (options_.copy || error) {
            AtomicFile copy(target);
            const MappedFile bytes(source);
            copy.reserve(bytes.bytes().size());
            constexpr std::size_t kPiece = 16 << 20;
            for (std::size_t at = 0; at < bytes.bytes().size(); at += kPiece) {
                const auto piece = bytes.bytes().subspan(at, std::min(kPiece, bytes.bytes().size() - at));
                copy.write_at(at, piece.data(), piece.size());
                bytes.release();
            }
            copy.sync();
            copy.commit();
            summary_.copied_bytes += entry.bytes;
        } else {
            summary_.linked_bytes += entry.bytes;
        }
        progress_.update(static_cast<std::int64_t>(summary_.copied_bytes + summary_.linked_bytes));
    }

    MergeOptions options_;
    Progress& progress_;
    Json plan_;
    std::string plan_text_;
    fs::path plan_of_;
    std::vector<PartShards> parts_;
    std::vector<std::optional<Source>> shards_;
    MergeSummary summary_;
};

}  // namespace

MergeSummary merge_runs(const std::vector<fs::path>& runs, const fs::path& out, const MergeOptions& options,
                        Progress& progress) {
    check_output_folder(out, FolderKind::run, options.begin);
    Merger merger(runs, options, progress);
    if (const auto missing = merger.missing()) throw *missing;
    return merger.write(out);
}

std::string missing_part(const std::vector<fs::path>& runs) {
    const auto missing = Merger(runs, {}, no_progress()).missing();
    if (!missing) return "";
    const std::string text = missing->what();
    return text.substr(0, text.find(':'));
}

}  // namespace tomograph
