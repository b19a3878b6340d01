#include "tomograph/exchange/import.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/base/json.h"
#include "tomograph/base/matrix.h"
#include "tomograph/base/text.h"
#include "tomograph/base/version.h"
#include "tomograph/exchange/csv.h"
#include "tomograph/exchange/npy.h"
#include "tomograph/store/run_writer.h"

namespace tomograph {
namespace {

constexpr std::int64_t kBlock = 4096;
constexpr std::int64_t kShardBytes = 256'000'000;

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
    const auto end = [](const std::vector<std::int32_t>& values) {
        return std::int64_t{*std::max_element(values.begin(), values.end())} + 1;
    };
    rows.n_sequences = end(rows.tokens.sequence);
    rows.length = end(rows.tokens.position);
    return rows;
}

}  // namespace

std::int64_t import_matrix(const std::filesystem::path& matrix, const std::filesystem::path& out,
                           const ImportOptions& options, Progress& progress) {
    const NpyFile source(matrix);
    const std::int64_t n = source.n_rows(), dim = source.dim();
    const Rows rows = read_rows(n, options);
    RunPlan plan{.sites = {{options.site, {dim}}},
                 .stored = {source.dtype()},
                 .labels = rows.labels,
                 .tokens = rows.tokens,
                 .kept = std::vector<std::uint8_t>(static_cast<std::size_t>(n), 1),
                 .piece = [&](std::int64_t row) { return rows.pieces[static_cast<std::size_t>(row)]; }};
    const auto program = [&] {
        Json json = {{"name", "tomograph"}, {"version", kVersion}};
        if (!options.command.empty()) json["command"] = options.command;
        return json;
    };
    plan.description = {{"program", program()}};
    plan.description["model"] = {{"name", matrix.stem().string()},
                                 {"d_model", dim},
                                 {"n_layers", std::max(1, options.site.layer + 1)}};
    plan.description["prompts"] = {{"kind", "import"},
                                   {"sources", {matrix.filename().string()}},
                                   {"sequences", rows.n_sequences},
                                   {"length", rows.length},
                                   {"xxh3_128", xxh3_128(MappedFile(matrix).bytes())}};
    plan.description["capture"] = {{"vectors", true}, {"dtype", dtype_name(source.dtype())}};
    const std::int64_t shard_rows = std::max<std::int64_t>(
        kBlock, kShardBytes / (dim * static_cast<std::int64_t>(dtype_size(source.dtype()))));
    for (std::int64_t end = shard_rows; end < n + shard_rows; end += shard_rows)
        plan.shard_ends.push_back(std::min(n, end));

    RunWriter writer(out, std::move(plan),
                     {.begin = options.force ? Begin::replace : Begin::fresh, .durable = false});
    Matrix block(kBlock, dim);
    progress.begin("import " + matrix.filename().string(), n, "rows");
    for (std::size_t shard = 0; shard < writer.n_shards(); ++shard) {
        const auto [first, last] = writer.shard_tokens(shard);
        writer.begin_shard(shard);
        for (std::int64_t begin = first; begin < last; begin += kBlock) {
            if (progress.stop_requested()) throw Stopped("the import is not complete");
            const std::int64_t end = std::min(last, begin + kBlock);
            to_f32(source.dtype(), source.rows(begin, end).data(), block.data(),
                   static_cast<std::size_t>((end - begin) * dim));
            writer.take(0, begin, end - begin, block.data());
            progress.update(end);
        }
        writer.end_shard();
    }
    writer.finish();
    progress.end();
    return n;
}

}  // namespace tomograph
