#include "tomograph/exchange/import.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/base/json.h"
#include "tomograph/base/matrix.h"
#include "tomograph/base/text.h"
#include "tomograph/base/version.h"
#include "tomograph/exchange/csv.h"
#include "tomograph/exchange/npy.h"
#include "tomograph/store/output_folder.h"
#include "tomograph/store/run.h"

namespace tomograph {
namespace {

constexpr std::int64_t kBlock = 4096;

/// Who each row is, from the labels file or by its place.
struct Rows {
    TokenTable tokens;
    std::vector<std::string> pieces;
    std::vector<std::string> labels;  // names
    std::int64_t n_sequences = 1;
    std::int64_t length = 0;
};

std::vector<std::int32_t> integers(const std::vector<std::string>& texts, const std::string& column) {
    std::vector<std::int32_t> values;
    for (std::size_t i = 0; i < texts.size(); ++i) {
        std::int32_t value = -1;
        const char* end = texts[i].data() + texts[i].size();
        const auto parsed = std::from_chars(texts[i].data(), end, value);
        if (parsed.ec != std::errc{} || parsed.ptr != end || value < 0) {
            throw Error(fmt::format("line {} of the labels has no number under '{}'", i + 2, column),
                        fmt::format("it says '{}'", texts[i]), "write a whole number from 0");
        }
        values.push_back(value);
    }
    return values;
}

Rows read_rows(std::int64_t n, const ImportOptions& options) {
    Rows rows;
    const auto size = static_cast<std::size_t>(n);
    rows.tokens.token_id.assign(size, -1);
    rows.tokens.sequence.assign(size, 0);
    rows.tokens.label.assign(size, -1);
    rows.pieces.assign(size, "");
    std::map<std::string, std::vector<std::string>> columns;
    if (options.labels) {
        columns = read_csv(*options.labels);
        const auto lines = static_cast<std::int64_t>(columns.begin()->second.size());
        if (lines != n)
            throw Error(fmt::format("{} has {} lines below its header", options.labels->string(), lines),
                        fmt::format("the matrix has {} rows", n), "give one line a row");
    }
    if (columns.contains("sequence")) rows.tokens.sequence = integers(columns["sequence"], "sequence");
    if (columns.contains("token")) rows.pieces = columns["token"];
    if (columns.contains("label")) {
        std::map<std::string, std::int32_t> index;
        for (std::size_t i = 0; i < size; ++i) {
            const std::string& label = columns["label"][i];
            if (label.empty()) continue;
            const auto [entry, added] = index.emplace(label, static_cast<std::int32_t>(rows.labels.size()));
            if (added) rows.labels.push_back(label);
            rows.tokens.label[i] = entry->second;
        }
    }
    if (columns.contains("position")) {
        rows.tokens.position = integers(columns["position"], "position");
    } else {
        std::map<std::int32_t, std::int32_t> next;
        for (const std::int32_t sequence : rows.tokens.sequence)
            rows.tokens.position.push_back(next[sequence]++);
    }
    rows.n_sequences = *std::max_element(rows.tokens.sequence.begin(), rows.tokens.sequence.end()) + 1;
    rows.length = *std::max_element(rows.tokens.position.begin(), rows.tokens.position.end()) + 1;
    return rows;
}

void write_tokens(const std::filesystem::path& folder, const Rows& rows) {
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

}  // namespace

std::int64_t import_matrix(const std::filesystem::path& matrix, const std::filesystem::path& out,
                           const ImportOptions& options, Progress& progress) {
    const NpyFile source(matrix);
    const std::int64_t n = source.n_rows(), dim = source.dim();
    const Rows rows = read_rows(n, options);
    OutputFolder folder(out, options.force);
    std::filesystem::create_directories(folder.path() / "vectors");
    std::filesystem::create_directories(folder.path() / "stats");
    write_tokens(folder.path(), rows);

    const std::string site = options.site.name();
    SafetensorsWriter vectors(folder.path() / "vectors" / "000000.safetensors",
                              {{site, source.dtype(), {n, dim}}, {"rows", Dtype::i32, {n}}});
    std::vector<std::int32_t> index(static_cast<std::size_t>(n));
    for (std::size_t i = 0; i < index.size(); ++i) index[i] = static_cast<std::int32_t>(i);
    vectors.write(1, 0, index.data(), index.size() * sizeof(std::int32_t));
    std::vector<float> norms(static_cast<std::size_t>(n));
    Matrix block(kBlock, dim);
    progress.begin("import " + matrix.filename().string(), n, "rows");
    for (std::int64_t begin = 0; begin < n; begin += kBlock) {
        if (progress.stop_requested()) throw Stopped("nothing was imported");
        const std::int64_t end = std::min(n, begin + kBlock);
        const auto bytes = source.rows(begin, end);
        vectors.write(0, static_cast<std::uint64_t>(begin * dim) * dtype_size(source.dtype()), bytes.data(),
                      bytes.size());
        to_f32(source.dtype(), bytes.data(), block.data(), static_cast<std::size_t>((end - begin) * dim));
        for (std::int64_t i = begin; i < end; ++i)
            norms[static_cast<std::size_t>(i)] =
                static_cast<float>(std::sqrt(block.row(i - begin).cast<double>().squaredNorm()));
        progress.update(end);
    }
    const std::uint64_t bytes = vectors.file_bytes();
    const std::string checksum = xxh3_128(MappedFile(vectors.temporary()).bytes());
    vectors.finish();
    write_safetensors(folder.path() / "stats" / "norms.safetensors",
                      {{{site, Dtype::f32, {n}}, norms.data()}});

    Json json = {{"format", kRunFormat},
                 {"program", {{"name", "tomograph"}, {"version", kVersion}}},
                 {"status", "complete"}};
    json["model"] = {{"name", matrix.stem().string()},
                     {"d_model", dim},
                     {"n_layers", std::max(1, options.site.layer + 1)}};
    json["prompts"] = {{"kind", "import"},
                       {"sources", {matrix.filename().string()}},
                       {"sequences", rows.n_sequences},
                       {"length", rows.length}};
    json["labels"] = rows.labels;
    json["capture"] = {{"vectors", true}, {"dtype", dtype_name(source.dtype())}};
    json["n_tokens"] = n;
    json["n_rows"] = n;
    json["sites"] = {{{"name", site}, {"shape", {dim}}, {"vectors", true}}};
    json["shards"] = {
        {{"file", "vectors/000000.safetensors"}, {"rows", n}, {"bytes", bytes}, {"xxh3_128", checksum}}};
    write_json(folder.path() / "run.json", json);
    folder.keep();
    progress.end();
    return n;
}

}  // namespace tomograph
