#include "tomograph/store/run_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/base/text.h"
#include "tomograph/store/plan_file.h"
#include "tomograph/store/run_stats.h"
#include "tomograph/store/shard_writer.h"
#include "tomograph/store/text_file.h"

namespace tomograph {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kWriteBuffers = 32'000'000;

[[noreturn]] void refuse(const std::string& what, const std::string& why, const std::string& mend = "") {
    throw Error(what, why, mend);
}

/// Whoever makes a plan may be wrong, and a labels file may say anything.
void check_plan(const RunPlan& plan) {
    const std::size_t n = plan.tokens.token_id.size();
    if (n == 0) refuse("a run without tokens cannot be written", "");
    if (n > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()))
        refuse(fmt::format("a run of {} tokens cannot be written", n), "a run holds at most 2,147,483,647",
               "make several runs");
    if (plan.sites.empty()) refuse("a run without sites cannot be written", "");
    if (static_cast<std::int64_t>(plan.labels.size()) > kMostLabels)
        refuse(fmt::format("{} labels are more than a run can hold", plan.labels.size()),
               fmt::format("it holds {}", kMostLabels), "use fewer different labels");
    const auto check = [&](const char* what, const std::vector<std::int32_t>& values, std::int64_t lowest,
                           std::int64_t end) {
        if (values.size() != n)
            refuse(fmt::format("the run's plan has {} tokens and {} {}s", n, values.size(), what), "");
        for (const std::int32_t value : values) {
            if (value < lowest || value >= end)
                refuse(fmt::format("a {} of {} cannot be written", what, value),
                       fmt::format("they go from {} to {}", lowest, end - 1));
        }
    };
    check("position", plan.tokens.position, 0, kMostPositions);
    check("sequence", plan.tokens.sequence, 0, kMostSequences);
    check("label", plan.tokens.label, -1, static_cast<std::int64_t>(plan.labels.size()));
    if (plan.tokens.further.size() != plan.columns.size())
        refuse("the run's plan does not fit its columns", "");
    for (std::size_t c = 0; c < plan.columns.size(); ++c) {
        const LabelColumn& column = plan.columns[c];
        if (static_cast<std::int64_t>(column.words.size()) > kMostLabels)
            refuse(fmt::format("{} words of '{}' are more than a run can hold", column.words.size(),
                               column.name),
                   fmt::format("it holds {}", kMostLabels), "use fewer different ones");
        check(column.name.c_str(), plan.tokens.further[c], -1,
              column.counts() ? std::numeric_limits<std::int32_t>::max()
                              : static_cast<std::int64_t>(column.words.size()));
    }
    std::int64_t end = 0;
    for (const std::int64_t shard_end : plan.shard_ends) {
        if (shard_end <= end) refuse("the run's plan has a shard without tokens", "");
        end = shard_end;
    }
    if (end != static_cast<std::int64_t>(n) || plan.kept.size() != n ||
        plan.stored.size() != plan.sites.size())
        refuse("the run's plan does not fit its tokens", "");
    if (plan.basis && plan.basis->sites.size() != plan.sites.size())
        refuse("the run's plan does not fit its axes", "");
    for (std::size_t i = 0; i < plan.sums.size(); ++i) {
        const bool fits =
            plan.sums.size() == plan.sites.size() && std::ranges::all_of(plan.sums[i], [&](std::size_t part) {
                return part < plan.sites.size() && plan.stored[part] && !plan.stored[i] && !plan.basis &&
                       plan.sites[part].width() == plan.sites[i].width();
            });
        if (!fits) refuse("the run's plan has sites that are no sums", "");
    }
    if (!plan.part_ends.empty() && (!std::is_sorted(plan.part_ends.begin(), plan.part_ends.end()) ||
                                    plan.part_ends.back() != plan.shard_ends.size()))
        refuse("the run's plan has parts that are not those of its shards", "");
    if (static_cast<std::int64_t>(plan.shard_ends.size()) > kMostShards)
        refuse(fmt::format("a run of {} shards cannot be written", plan.shard_ends.size()), "",
               "make larger shards");
}

void number_rows(RunPlan& plan) {
    plan.tokens.row.clear();
    std::int32_t row = 0;
    for (const std::uint8_t kept : plan.kept) plan.tokens.row.push_back(kept != 0 ? row++ : -1);
}

void write_tokens(SafetensorsWriter& file, const TokenTable& tokens) {
    for (std::size_t i = 0; i < kTokenColumns.size(); ++i) {
        const auto& values = tokens.*kTokenColumns[i].values;
        file.write(i, 0, values.data(), values.size() * sizeof(std::int32_t));
    }
    for (std::size_t i = 0; i < tokens.further.size(); ++i)
        file.write(kTokenColumns.size() + i, 0, tokens.further[i].data(),
                   tokens.further[i].size() * sizeof(std::int32_t));
}

std::vector<TensorSpec> token_specs(const TokenTable& tokens, const std::vector<LabelColumn>& columns) {
    std::vector<TensorSpec> specs;
    for (const TokenColumn& column : kTokenColumns)
        specs.push_back({column.name, Dtype::i32, {tokens.size()}});
    for (const LabelColumn& column : columns) specs.push_back({column.name, Dtype::i32, {tokens.size()}});
    return specs;
}

/// A line for each stretch of tokens of one sequence.
void write_pieces(AtomicFile& file, const RunPlan& plan) {
    const auto& sequence = plan.tokens.sequence;
    std::string text;
    for (std::size_t begin = 0; begin < sequence.size();) {
        std::size_t end = begin;
        Json line = {{"sequence", sequence[begin]}, {"pieces", Json::array()}};
        bool labelled = false;
        for (; end < sequence.size() && sequence[end] == sequence[begin]; ++end) {
            line["pieces"].push_back(
                piece_to_json(plan.piece ? plan.piece(static_cast<std::int64_t>(end)) : std::string()));
            labelled = labelled || plan.tokens.label[end] >= 0;
        }
        for (std::size_t t = begin; labelled && t < end; ++t) {
            const std::int32_t label = plan.tokens.label[t];
            line["labels"].push_back(label < 0 ? Json(nullptr)
                                               : Json(plan.labels[static_cast<std::size_t>(label)]));
        }
        text += json_text(line) + "\n";
        if (text.size() > (1u << 20)) {
            file.write(text);
            text.clear();
        }
        begin = end;
    }
    file.write(text);
}

void write_texts(AtomicFile& file, const RunPlan& plan) {
    for (std::size_t i = 0; i < plan.texts.size(); ++i) {
        Json line = {{"sequence", i}};
        line.update(plan.texts[i]);
        file.write(json_text(line) + "\n");
    }
}

Json describe(const RunPlan& plan, const std::vector<FileEntry>& token_files) {
    Json json = {{"format", kRunFormat}};
    json.update(plan.description);
    json["labels"] = plan.labels;
    if (plan.label_outside_means >= 0)
        json["means_without_label"] = plan.labels[static_cast<std::size_t>(plan.label_outside_means)];
    if (!plan.columns.empty()) json["columns"] = columns_json(plan.columns);
    if (!plan.scores.empty()) json["scores"] = plan.scores;
    json["n_tokens"] = plan.tokens.size();
    const std::vector<std::int64_t> ranks = ranks_of(plan);
    for (std::size_t i = 0; i < plan.sites.size(); ++i) {
        json["sites"].push_back({{"name", plan.sites[i].site.name()},
                                 {"shape", plan.sites[i].shape},
                                 {"vectors", plan.stored[i].has_value() && !plan.basis}});
        if (ranks[i] > 0) json["sites"].back()["scores"] = ranks[i];
        if (i >= plan.sums.size()) continue;
        for (const std::size_t part : plan.sums[i])
            json["sites"].back()["sum_of"].push_back(plan.sites[part].site.name());
    }
    if (!plan.means) json["means"] = false;
    if (plan.moments) json["moments"] = true;
    for (const FileEntry& file : token_files) json["tokens"].push_back(file.json());
    json["shard_ends"] = plan.shard_ends;
    if (!plan.part_ends.empty()) json["part_ends"] = plan.part_ends;
    return json;
}

/// Errors: Error that says which fields differ, where they do.
void check_resumed(const fs::path& folder, const Json& earlier, const Json& now) {
    // Only the first capture's command is kept.
    const std::string differences =
        differences_of(earlier, now, {"/program/command", "/program/backend/workers"});
    if (differences.empty()) return;
    throw Error(folder.string() + " was captured otherwise and cannot be resumed like this", differences,
                "resume it as it was begun, or replace it with --force");
}

bool is_there(const fs::path& run, const FileEntry& file) {
    std::error_code error;
    return fs::file_size(run / file.file, error) == file.bytes && !error;
}

}  // namespace

std::vector<std::int64_t> ranks_of(const RunPlan& plan) {
    std::vector<std::int64_t> ranks(plan.sites.size(), 0);
    for (std::size_t i = 0; plan.basis && i < ranks.size(); ++i) ranks[i] = plan.basis->sites[i].rank();
    return ranks;
}

RunWriter::RunWriter(const fs::path& folder, RunPlan plan, const RunWriterOptions& options)
    : plan_((check_plan(plan), number_rows(plan), std::move(plan))),
      durable_(options.durable),
      threads_(options.threads),
      folder_(folder, FolderKind::run, options.begin),
      whole_(plan_.shard_ends.size(), false),
      queue_(kWriteBuffers) {
    begin_files(options.begin);
}

void RunWriter::begin_files(Begin begin) {
    const fs::path& run = folder_.path();
    // The plan is the first name in the folder: what a killed writer leaves is known for a run by it.
    SafetensorsWriter tokens(run / layout::kTokens, token_specs(plan_.tokens, plan_.columns));
    write_tokens(tokens, plan_.tokens);
    AtomicFile pieces(run / layout::kPieces);
    write_pieces(pieces, plan_);
    std::vector<FileEntry> files{file_entry(layout::kTokens, tokens.temporary()),
                                 file_entry(layout::kPieces, pieces.temporary())};
    std::optional<AtomicFile> texts;
    if (!plan_.texts.empty()) {
        texts.emplace(run / layout::kTexts);
        write_texts(*texts, plan_);
        files.push_back(file_entry(layout::kTexts, texts->temporary()));
    }
    std::unique_ptr<SafetensorsWriter> basis;
    if (plan_.basis) {
        basis = write_basis(run / layout::kBasis, *plan_.basis, plan_.sites);
        files.push_back(file_entry(layout::kBasis, basis->temporary()));
    }
    description_ = describe(plan_, files);
    std::string text = file_text(description_);
    // What is compared later is what the file says: numbers may lose a digit on the way.
    description_ = parse_json(text);
    const bool resumed = begin == Begin::resume && fs::exists(run / layout::kPlan);
    if (resumed) {
        const Json earlier = read_json(run / layout::kPlan);
        check_resumed(run, earlier, description_);
        text = read_file(run / layout::kPlan);
        description_ = earlier;
    } else {
        write_text(layout::kPlan, text);
    }
    const bool there =
        std::all_of(files.begin(), files.end(), [&](const FileEntry& file) { return is_there(run, file); });
    if (!resumed || !there) {
        if (durable_) {
            tokens.sync();
            pieces.sync();
            if (texts) texts->sync();
            if (basis) basis->sync();
        }
        tokens.finish();
        pieces.commit();
        if (texts) texts->commit();
        if (basis) basis->finish();
    }
    fs::create_directories(run / layout::kShards);
    fs::create_directories(run / layout::kStats);
    if (durable_) sync_folder(run);

    const std::string plan_hash = xxh3_128(std::as_bytes(std::span(text)));
    std::int64_t begin_token = 0, row = 0;
    for (std::size_t i = 0; i < n_shards(); ++i) {
        ShardManifest shard{i, plan_hash, {}, {begin_token, plan_.shard_ends[i]}, {row, row}, {}};
        const auto first = plan_.tokens.sequence.begin() + static_cast<std::ptrdiff_t>(shard.tokens.begin);
        const auto [lowest, highest] =
            std::minmax_element(first, first + static_cast<std::ptrdiff_t>(shard.tokens.size()));
        shard.sequences = {*lowest, std::int64_t{*highest} + 1};
        for (std::int64_t t = shard.tokens.begin; t < shard.tokens.end; ++t)
            shard.rows.end += plan_.kept[static_cast<std::size_t>(t)] != 0;
        begin_token = shard.tokens.end;
        row = shard.rows.end;
        manifests_.push_back(std::move(shard));
    }
    if (resumed) find_whole_shards();
    if (!complete_)
        write_text(layout::kRun, file_text(run_description(description_, whole_shards(), {}, false)));
}

void RunWriter::find_whole_shards() {
    const fs::path& run = folder_.path();
    remove_abandoned(run / layout::kShards);
    remove_abandoned(run / layout::kStats);
    std::error_code error;
    for (std::size_t i = 0; i < n_shards(); ++i) {
        const fs::path file = run / layout::manifest_file(i);
        if (fs::exists(file, error)) {
            try {
                ShardManifest found = shard_manifest(read_json(file));
                const bool there = std::all_of(found.files.begin(), found.files.end(),
                                               [&](const FileEntry& entry) { return is_there(run, entry); });
                ShardManifest planned = manifests_[i];
                planned.files = found.files;
                if (found == planned && there) {
                    manifests_[i] = std::move(found);
                    whole_[i] = true;
                    continue;
                }
            } catch (const std::exception&) {  // damaged: the shard is captured again
            }
        }
        fs::remove(file, error);
        fs::remove(run / layout::vectors_file(i), error);
        fs::remove(run / layout::stats_file(i), error);
        fs::remove(run / layout::moments_file(i), error);
    }
    if (whole_shards().size() < n_shards()) return;
    try {
        const std::string text = read_file(run / layout::kRun);
        std::vector<FileEntry> stats;
        const Json there = parse_json(text);
        for (const Json& file : there.at("stats")) stats.push_back(file_entry(file));
        complete_ =
            text == file_text(run_description(description_, manifests_, stats, true)) && !stats.empty() &&
            std::all_of(stats.begin(), stats.end(), [&](const FileEntry& e) { return is_there(run, e); });
    } catch (const std::exception&) {  // run.json is made again
    }
}

RunWriter::~RunWriter() {
    shard_.reset();
    try {
        collect();
        if (!complete_ && std::find(whole_.begin(), whole_.end(), true) != whole_.end())
            write_text(layout::kRun, file_text(run_description(description_, whole_shards(), {}, false)));
    } catch (...) {  // what stopped the writer was said already; the manifests are there
    }
}

std::pair<std::int64_t, std::int64_t> RunWriter::shard_tokens(std::size_t number) const {
    return {number == 0 ? 0 : plan_.shard_ends[number - 1], plan_.shard_ends[number]};
}

void RunWriter::begin_shard(std::size_t number, std::optional<Dtype> instead_of_f16) {
    shard_.reset();
    std::vector<std::optional<Dtype>> stored = plan_.stored;
    if (instead_of_f16) std::replace(stored.begin(), stored.end(), std::optional(Dtype::f16), instead_of_f16);
    shard_ = std::make_unique<ShardWriter>(folder_.path(), plan_, std::move(stored), manifests_[number],
                                           queue_, threads_);
}

bool RunWriter::is_widened(std::size_t number) const {
    const auto narrow = std::find(plan_.stored.begin(), plan_.stored.end(), std::optional(Dtype::f16));
    if (narrow == plan_.stored.end() || manifests_[number].rows.size() == 0) return false;
    const SiteShape& site = plan_.sites[static_cast<std::size_t>(narrow - plan_.stored.begin())];
    const Safetensors vectors(folder_.path() / layout::vectors_file(number));
    const std::string name = site.site.name();
    return vectors.at(plan_.basis ? layout::axis_scores_tensor(name) : name).dtype != Dtype::f16;
}

void RunWriter::take(std::size_t site, std::int64_t first, std::int64_t n, const float* values) {
    shard_->take(site, first, n, values, {});
}

void RunWriter::take(std::size_t site, std::int64_t first, std::int64_t n, const float* values,
                     const Scored& scored) {
    shard_->take(site, first, n, values, scored);
}

void RunWriter::take_moments(std::size_t site, const SiteMoments& moments) {
    shard_->take_moments(site, moments);
}

void RunWriter::take_scores(std::size_t score, std::int64_t first, std::int64_t n, const float* values) {
    shard_->take_scores(score, first, n, values);
}

void RunWriter::end_shard() {
    queue_.drain();
    collect();
    finishing_ = std::async(std::launch::async, [shard = std::shared_ptr<ShardWriter>(std::move(shard_)),
                                                 durable = durable_] { return shard->finish(durable); });
    // The folder's name is about to change: nothing may be under way in it.
    if (folder_.replaces()) collect();
}

void RunWriter::collect() {
    if (!finishing_.valid()) return;
    ShardManifest manifest = finishing_.get();
    const std::size_t number = manifest.number;
    manifests_[number] = std::move(manifest);
    whole_[number] = true;
    folder_.keep();
}

void RunWriter::finish() {
    if (complete_) return;
    collect();
    if (whole_shards().size() != n_shards()) {
        if (plan_.part_ends.empty()) throw Error("the run has shards that were not written", "", "");
        write_text(layout::kRun, file_text(run_description(description_, whole_shards(), {}, false)));
        return;
    }
    const std::vector<FileEntry> stats =
        write_stats(folder_.path(), {plan_.sites, plan_.scores, plan_.tokens.size()}, manifests_, durable_);
    write_text(layout::kRun, file_text(run_description(description_, manifests_, stats, true)));
    complete_ = true;
}

std::uint64_t RunWriter::vector_bytes() const {
    std::uint64_t bytes = 0;
    for (const ShardManifest& shard : manifests_) {
        for (const FileEntry& file : shard.files) {
            if (file.file == layout::vectors_file(shard.number)) bytes += file.bytes;
        }
    }
    return bytes;
}

void RunWriter::write_text(const char* name, const std::string& text) const {
    tomograph::write_text(folder_.path() / name, text, durable_);
    if (durable_) sync_folder(folder_.path());
}

std::vector<ShardManifest> RunWriter::whole_shards() const {
    std::vector<ShardManifest> shards;
    std::size_t i = 0;
    if (!plan_.part_ends.empty()) {
        while (i < n_shards() && !whole_[i]) ++i;
    }
    for (; i < n_shards() && whole_[i]; ++i) shards.push_back(manifests_[i]);
    return shards;
}

}  // namespace tomograph
