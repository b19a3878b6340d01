#include "tomograph/exchange/import.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "tomograph/base/checksum.h"
#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/base/json.h"
#include "tomograph/base/matrix.h"
#include "tomograph/base/version.h"
#include "tomograph/exchange/sources.h"
#include "tomograph/exchange/token_rows.h"
#include "tomograph/store/run_writer.h"

namespace tomograph {
namespace {

constexpr std::int64_t kBlockElements = 1 << 20;
constexpr std::int64_t kShardBytes = 256'000'000;

std::vector<ImportPart> read_parts(const ImportOptions& options, std::vector<std::string>& notes) {
    if (!options.sites.empty()) {
        if (!options.files.empty() || options.site)
            throw Error("files that name their site, and others", "", "give --site NAME=FILE for each");
        return {read_named_part(options.sites, notes)};
    }
    if (options.files.empty()) throw Error("nothing to import", "", "name a file, or --site NAME=FILE");
    std::vector<ImportPart> parts;
    for (const auto& file : options.files)
        parts.push_back(read_part(file, {.site = options.site, .layers = options.layers}, notes));
    return parts;
}

/// The shape of one row at each site, the same in all parts.
std::vector<SiteShape> shapes_of(const std::vector<ImportPart>& parts) {
    std::vector<SiteShape> shapes;
    for (const auto& [site, array] : parts.front().sites) shapes.push_back({site, array.row_shape()});
    for (const ImportPart& part : parts) {
        for (const auto& [site, shape] : shapes) {
            const auto found = part.sites.find(site);
            if (found == part.sites.end())
                throw Error(fmt::format("{} holds no {}", part.sites.begin()->second.from, site.name()),
                            fmt::format("{} does", parts.front().sites.begin()->second.from),
                            "import files of the same sites together");
            if (found->second.row_shape() != shape)
                throw Error(fmt::format("{} has rows of another shape", found->second.from),
                            fmt::format("{} has {} numbers a row", parts.front().sites.at(site).from,
                                        SiteShape{site, shape}.width()),
                            "");
        }
        if (part.sites.size() != shapes.size())
            throw Error(fmt::format("{} holds more sites", part.sites.begin()->second.from),
                        fmt::format("than {}", parts.front().sites.begin()->second.from),
                        "import files of the same sites together");
    }
    return shapes;
}

/// The model's width: what the stream and its neighbours have in common.
std::int64_t model_width(const std::vector<SiteShape>& shapes) {
    const SiteShape* first = nullptr;
    for (const SiteShape& shape : shapes) {
        if (shape.site.component == Component::z || shape.site.component == Component::router) continue;
        if (first == nullptr) first = &shape;
        if (shape.width() != first->width())
            throw Error(fmt::format("{} is {} wide", shape.site.name(), shape.width()),
                        fmt::format("{} is {} wide", first->site.name(), first->width()),
                        "the vectors of one model's stream have one width");
    }
    return (first != nullptr ? *first : shapes.front()).width();
}

/// The type that holds a site's values as they are in every part, or float32.
Dtype stored_type(const std::vector<ImportPart>& parts, const Site& site) {
    const auto type = stored_as(parts.front().sites.at(site).array.element());
    const bool same = type && std::ranges::all_of(parts, [&](const ImportPart& part) {
                          return stored_as(part.sites.at(site).array.element()) == type;
                      });
    return same ? *type : Dtype::f32;
}

/// What became of a site's values.
struct Fate {
    Losses losses;
    std::int64_t unusable = 0;  ///< rows that are not finite
};

void note_fate(const std::vector<ImportPart>& parts, const Site& site, const Fate& fate,
               std::vector<std::string>& notes) {
    for (const ImportPart& part : parts) {
        const ForeignArray& array = part.sites.at(site).array;
        if (!stored_as(array.element()))
            notes.push_back(
                fmt::format("{} became float32{}", element_name(array.element()),
                            fate.losses.rounded > 0
                                ? fmt::format(", {} numbers of {} rounded", fate.losses.rounded, site.name())
                                : ""));
        else if (array.swapped())
            notes.push_back("big-endian numbers were turned");
    }
    if (fate.unusable > 0)
        notes.push_back(
            fmt::format("{} rows of {} hold numbers that are not finite", fate.unusable, site.name()));
}

/// Hands rows [first, last) of one site to the writer. Rows are those of all parts, one after another.
void copy_rows(const std::vector<ImportPart>& parts, const SiteShape& site, std::size_t number,
               std::int64_t first, std::int64_t last, RunWriter& writer, Fate& fate,
               const Progress& progress) {
    const std::int64_t width = site.width(), block_rows = std::max<std::int64_t>(1, kBlockElements / width);
    Matrix block(std::min(block_rows, last - first), width);
    std::int64_t before = 0;  // rows of the parts that have been passed
    for (const ImportPart& part : parts) {
        const SiteArray& source = part.sites.at(site.site);
        const std::int64_t n = source.n_rows();
        for (std::int64_t begin = std::max(first - before, std::int64_t{0});
             begin < std::min(n, last - before);) {
            if (progress.stop_requested()) throw Stopped("the import is not complete");
            const std::int64_t end = std::min({n, last - before, begin + block_rows});
            source.array.read_rows(source.row_axes, begin, end, block.data(), fate.losses);
            if (fate.losses.first_too_large >= 0)
                throw Error(fmt::format("row {} of {} holds a number beyond float32",
                                        fate.losses.first_too_large, source.from),
                            "", "scale the vectors, or leave the row out");
            writer.take(number, before + begin, end - begin, block.data());
            for (std::int64_t i = 0; i < end - begin; ++i) fate.unusable += !block.row(i).allFinite();
            begin = end;
        }
        before += n;
    }
}

Json description(const ImportOptions& options, const std::vector<SiteShape>& shapes,
                 const std::vector<std::optional<Dtype>>& stored, const TokenRows& rows, std::int64_t d_model,
                 const std::vector<std::string>& notes) {
    Json sources = Json::array();
    std::string contents;
    const auto add = [&](const std::filesystem::path& file) {
        sources.push_back(file.filename().string());
        contents += file_checksum(file).xxh3_128;
    };
    for (const auto& file : options.files) add(file);
    for (const auto& [site, file] : options.sites) add(file);
    int last_layer = 0;
    for (const SiteShape& shape : shapes) last_layer = std::max(last_layer, shape.site.layer);
    const bool one_type = std::ranges::all_of(stored, [&](const auto& type) { return type == stored[0]; });
    Json json = {{"program", {{"name", "tomograph"}, {"version", kVersion}}}};
    if (!options.command.empty()) json["program"]["command"] = options.command;
    json["model"] = {{"name", std::filesystem::path(sources[0].get<std::string>()).stem().string()},
                     {"d_model", d_model},
                     {"n_layers", last_layer + 1}};
    json["prompts"] = {{"kind", "import"},
                       {"sources", sources},
                       {"sequences", rows.n_sequences},
                       {"length", rows.length},
                       {"xxh3_128", xxh3_128(std::as_bytes(std::span(contents)))}};
    if (!notes.empty()) json["prompts"]["notes"] = notes;
    json["capture"] = {{"vectors", true}, {"dtype", one_type ? Json(dtype_name(*stored[0])) : Json("mixed")}};
    return json;
}

}  // namespace

ImportSummary import_vectors(const ImportOptions& options, const std::filesystem::path& out,
                             Progress& progress) {
    ImportSummary summary;
    const Begin begin = options.force ? Begin::replace : Begin::fresh;
    check_output_folder(out, FolderKind::run, begin);
    const auto parts = read_parts(options, summary.notes);
    const auto shapes = shapes_of(parts);
    const std::int64_t d_model = model_width(shapes);
    TokenRows rows = token_rows(parts, options.labels, summary.notes);
    const std::int64_t n = rows.tokens.size();

    // Every row is kept, and the means are theirs.
    RunPlan plan{.sites = shapes, .means = false, .labels = rows.labels, .tokens = std::move(rows.tokens)};
    std::int64_t row_bytes = 0;
    for (const SiteShape& site : shapes) {
        const Dtype type = stored_type(parts, site.site);
        plan.stored.push_back(type);
        row_bytes += site.width() * static_cast<std::int64_t>(dtype_size(type));
    }
    plan.description = description(options, shapes, plan.stored, rows, d_model, summary.notes);
    plan.kept.assign(static_cast<std::size_t>(n), 1);
    plan.piece = [&](std::int64_t row) { return rows.pieces[static_cast<std::size_t>(row)]; };
    const std::int64_t shard_rows = std::max<std::int64_t>(1, kShardBytes / row_bytes);
    for (std::int64_t end = shard_rows; end < n + shard_rows; end += shard_rows)
        plan.shard_ends.push_back(std::min(n, end));
    // It can be made again from its sources.
    RunWriter writer(out, std::move(plan), {.begin = begin, .durable = false});

    std::vector<Fate> fates(shapes.size());
    progress.begin("import", n, "rows");
    for (std::size_t shard = 0; shard < writer.n_shards(); ++shard) {
        const auto [first, last] = writer.shard_tokens(shard);
        writer.begin_shard(shard);
        for (std::size_t i = 0; i < shapes.size(); ++i)
            copy_rows(parts, shapes[i], i, first, last, writer, fates[i], progress);
        writer.end_shard();
        progress.update(last);
    }
    writer.finish();
    progress.end();
    for (std::size_t i = 0; i < shapes.size(); ++i) note_fate(parts, shapes[i].site, fates[i], summary.notes);
    std::ranges::sort(summary.notes);
    summary.notes.erase(std::unique(summary.notes.begin(), summary.notes.end()), summary.notes.end());
    summary.n_rows = n;
    summary.n_sequences = rows.n_sequences;
    summary.n_sites = shapes.size();
    return summary;
}

}  // namespace tomograph
