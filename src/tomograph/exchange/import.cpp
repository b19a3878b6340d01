#include "tomograph/exchange/import.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/base/json.h"
#include "tomograph/base/matrix.h"
#include "tomograph/base/text.h"
#include "tomograph/base/version.h"
#include "tomograph/exchange/sources.h"
#include "tomograph/exchange/token_rows.h"
#include "tomograph/store/output_folder.h"
#include "tomograph/store/run.h"

namespace tomograph {
namespace {

constexpr std::int64_t kBlockElements = 1 << 20;

std::vector<Part> read_parts(const ImportOptions& options, std::vector<std::string>& notes) {
    if (!options.sites.empty()) {
        if (!options.files.empty() || options.site)
            throw Error("files that name their site, and others", "", "give --site NAME=FILE for each");
        return {read_named_part(options.sites, notes)};
    }
    if (options.files.empty()) throw Error("nothing to import", "", "name a file, or --site NAME=FILE");
    std::vector<Part> parts;
    for (const auto& file : options.files)
        parts.push_back(read_part(file, {.site = options.site, .layers = options.layers}, notes));
    return parts;
}

/// The shape of one row at each site, the same in all parts.
std::vector<SiteShape> shapes_of(const std::vector<Part>& parts) {
    std::vector<SiteShape> shapes;
    for (const auto& [site, array] : parts.front().sites) shapes.push_back({site, array.row_shape()});
    for (const Part& part : parts) {
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
Dtype stored_type(const std::vector<Part>& parts, const Site& site) {
    const auto type = stored_as(parts.front().sites.at(site).array.element());
    const bool same = type && std::ranges::all_of(parts, [&](const Part& part) {
                          return stored_as(part.sites.at(site).array.element()) == type;
                      });
    return same ? *type : Dtype::f32;
}

/// Notes what the values of a site become.
void note_conversion(const std::vector<Part>& parts, const Site& site, std::int64_t rounded,
                     std::vector<std::string>& notes) {
    const ForeignArray& array = parts.front().sites.at(site).array;
    if (stored_as(array.element()) && !array.swapped()) return;
    if (stored_as(array.element())) return notes.push_back("big-endian numbers were turned");
    notes.push_back(
        fmt::format("{} became float32{}", element_name(array.element()),
                    rounded > 0 ? fmt::format(", {} numbers of {} rounded", rounded, site.name()) : ""));
}

struct Column {
    std::vector<float> norms;  // a token
    MatrixD sums;              // [length, width]; without rows where positions have gaps
};

/// Means by position are a table with a row for each; where most positions have no token it would dwarf the
/// vectors.
bool has_means(const TokenRows& rows) {
    return rows.length <= 4 * rows.tokens.size() + 1024;
}

/// Copies one site's rows; its norms and the sums of its rows by position come along.
Column copy_site(const std::vector<Part>& parts, const SiteShape& site, const TokenRows& rows, Dtype dtype,
                 std::size_t tensor, SafetensorsWriter& out, std::int64_t& done, Progress& progress,
                 std::vector<std::string>& notes) {
    const std::int64_t width = site.width(), block_rows = std::max<std::int64_t>(1, kBlockElements / width);
    Column column{{}, MatrixD::Zero(has_means(rows) ? rows.length : 0, width)};
    column.norms.reserve(static_cast<std::size_t>(rows.tokens.size()));
    Losses losses;
    Matrix block(block_rows, width);
    std::vector<std::uint16_t> half(static_cast<std::size_t>(block.size()));
    std::int64_t row = 0, unusable = 0;
    for (const Part& part : parts) {
        const SiteArray& source = part.sites.at(site.site);
        const std::int64_t n = source.n_rows();
        for (std::int64_t begin = 0; begin < n; begin += block_rows) {
            if (progress.stop_requested()) throw Stopped("nothing was imported");
            const std::int64_t end = std::min(n, begin + block_rows);
            const auto size = static_cast<std::size_t>((end - begin) * width);
            source.array.read_rows(source.row_axes, begin, end, block.data(), losses);
            if (losses.first_too_large >= 0)
                throw Error(fmt::format("row {} of {} holds a number beyond float32", losses.first_too_large,
                                        source.from),
                            "", "scale the vectors, or leave the row out");
            const void* bytes = block.data();
            if (dtype == Dtype::f16) to_f16(block.data(), half.data(), size);
            if (dtype == Dtype::bf16) to_bf16(block.data(), half.data(), size);
            if (dtype != Dtype::f32) bytes = half.data();
            out.write(tensor, static_cast<std::uint64_t>(row * width) * dtype_size(dtype), bytes,
                      size * dtype_size(dtype));
            for (std::int64_t i = 0; i < end - begin; ++i, ++row) {
                const auto values = block.row(i).cast<double>();
                column.norms.push_back(static_cast<float>(std::sqrt(values.squaredNorm())));
                if (column.sums.rows() > 0)
                    column.sums.row(rows.tokens.position[static_cast<std::size_t>(row)]) += values;
                unusable += !std::isfinite(column.norms.back());
            }
            progress.update(done += end - begin);
        }
    }
    note_conversion(parts, site.site, losses.rounded, notes);
    if (unusable > 0)
        notes.push_back(
            fmt::format("{} rows of {} hold numbers that are not finite", unusable, site.site.name()));
    return column;
}

void write_tokens(const std::filesystem::path& folder, const TokenRows& rows) {
    const std::vector<std::int64_t> shape{rows.tokens.size()};
    write_safetensors(folder / "tokens.safetensors",
                      {{{"token_id", Dtype::i32, shape}, rows.tokens.token_id.data()},
                       {{"position", Dtype::i32, shape}, rows.tokens.position.data()},
                       {{"sequence", Dtype::i32, shape}, rows.tokens.sequence.data()},
                       {{"label", Dtype::i32, shape}, rows.tokens.label.data()}});
    // Rows keep their order, so a sequence's line here is a stretch of rows.
    AtomicFile lines(folder / "tokens.jsonl");
    for (std::size_t begin = 0; begin < rows.pieces.size();) {
        Json line = {{"sequence", rows.tokens.sequence[begin]}, {"pieces", Json::array()}};
        std::size_t end = begin;
        for (; end < rows.pieces.size() && rows.tokens.sequence[end] == rows.tokens.sequence[begin]; ++end)
            line["pieces"].push_back(piece_to_json(rows.pieces[end]));
        lines.write(json_text(line) + "\n");
        begin = end;
    }
    lines.commit();
}

void write_stats(const std::filesystem::path& folder, const std::vector<SiteShape>& shapes,
                 const TokenRows& rows, const std::vector<Column>& columns) {
    std::vector<TensorData> norms, means;
    std::vector<Matrix> tables;
    tables.reserve(shapes.size());
    VectorD counts = VectorD::Zero(rows.length);
    for (const std::int32_t position : rows.tokens.position) counts[position] += 1;
    const VectorD scale = counts.cwiseMax(1).cwiseInverse();
    for (std::size_t i = 0; i < shapes.size(); ++i) {
        const std::string name = shapes[i].site.name();
        norms.push_back({{name, Dtype::f32, {rows.tokens.size()}}, columns[i].norms.data()});
        if (!has_means(rows)) continue;
        tables.emplace_back((scale.asDiagonal() * columns[i].sums).cast<float>());
        TensorSpec spec{name, Dtype::f32, {rows.length}};
        spec.shape.insert(spec.shape.end(), shapes[i].shape.begin(), shapes[i].shape.end());
        means.push_back({spec, tables.back().data()});
    }
    write_safetensors(folder / "norms.safetensors", norms);
    if (has_means(rows)) write_safetensors(folder / "means.safetensors", means);
}

Json description(const ImportOptions& options, const std::vector<SiteShape>& shapes,
                 const std::vector<TensorSpec>& specs, const TokenRows& rows, std::int64_t d_model,
                 std::uint64_t bytes, const std::string& checksum) {
    std::vector<std::string> sources;
    for (const auto& file : options.files) sources.push_back(file.filename().string());
    for (const auto& [site, file] : options.sites) sources.push_back(file.filename().string());
    int last_layer = 0;
    bool one_type = true;
    Json sites = Json::array();
    for (std::size_t i = 0; i < shapes.size(); ++i) {
        last_layer = std::max(last_layer, shapes[i].site.layer);
        one_type = one_type && specs[i].dtype == specs[0].dtype;
        sites.push_back({{"name", specs[i].name}, {"shape", shapes[i].shape}, {"vectors", true}});
    }
    const std::int64_t n = rows.tokens.size();
    Json json = {{"format", kRunFormat},
                 {"program", {{"name", "tomograph"}, {"version", kVersion}}},
                 {"status", "complete"}};
    json["model"] = {{"name", std::filesystem::path(sources.front()).stem().string()},
                     {"d_model", d_model},
                     {"n_layers", last_layer + 1}};
    json["prompts"] = {
        {"kind", "import"}, {"sources", sources}, {"sequences", rows.n_sequences}, {"length", rows.length}};
    json["labels"] = rows.labels;
    json["capture"] = {{"vectors", true},
                       {"dtype", one_type ? Json(dtype_name(specs[0].dtype)) : Json("mixed")}};
    json["n_tokens"] = n;
    json["n_rows"] = n;
    json["sites"] = sites;
    json["shards"] = {
        {{"file", "vectors/000000.safetensors"}, {"rows", n}, {"bytes", bytes}, {"xxh3_128", checksum}}};
    return json;
}

}  // namespace

ImportSummary import_vectors(const ImportOptions& options, const std::filesystem::path& out,
                             Progress& progress) {
    ImportSummary summary;
    const auto parts = read_parts(options, summary.notes);
    const auto shapes = shapes_of(parts);
    const std::int64_t d_model = model_width(shapes);
    const TokenRows rows = token_rows(parts, options.labels, summary.notes);
    const std::int64_t n = rows.tokens.size();
    OutputFolder folder(out, options.force);
    std::filesystem::create_directories(folder.path() / "vectors");
    std::filesystem::create_directories(folder.path() / "stats");
    write_tokens(folder.path(), rows);

    std::vector<TensorSpec> specs;
    for (const SiteShape& site : shapes) {
        TensorSpec spec{site.site.name(), stored_type(parts, site.site), {n}};
        spec.shape.insert(spec.shape.end(), site.shape.begin(), site.shape.end());
        specs.push_back(spec);
    }
    specs.push_back({"rows", Dtype::i32, {n}});
    SafetensorsWriter vectors(folder.path() / "vectors" / "000000.safetensors", specs);
    std::vector<std::int32_t> index(static_cast<std::size_t>(n));
    std::iota(index.begin(), index.end(), 0);
    vectors.write(shapes.size(), 0, index.data(), index.size() * sizeof(std::int32_t));
    progress.begin("import", n * static_cast<std::int64_t>(shapes.size()), "vectors");
    std::vector<Column> columns;
    std::int64_t done = 0;
    for (std::size_t i = 0; i < shapes.size(); ++i)
        columns.push_back(
            copy_site(parts, shapes[i], rows, specs[i].dtype, i, vectors, done, progress, summary.notes));
    const std::uint64_t bytes = vectors.file_bytes();
    const std::string checksum = xxh3_128(MappedFile(vectors.temporary()).bytes());
    vectors.finish();
    write_stats(folder.path() / "stats", shapes, rows, columns);
    write_json(folder.path() / "run.json",
               description(options, shapes, specs, rows, d_model, bytes, checksum));
    folder.keep();
    progress.end();
    std::ranges::sort(summary.notes);
    summary.notes.erase(std::unique(summary.notes.begin(), summary.notes.end()), summary.notes.end());
    summary.n_rows = n;
    summary.n_sequences = rows.n_sequences;
    summary.n_sites = shapes.size();
    return summary;
}

}  // namespace tomograph
