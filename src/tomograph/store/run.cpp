#include "tomograph/store/run.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <mutex>

#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/base/json_reason.h"
#include "tomograph/base/text.h"
#include "tomograph/store/opened_files.h"

namespace tomograph {
namespace fs = std::filesystem;

namespace {

/// Everything after this indexes by these numbers: they are checked once, here.
void check_tokens(const fs::path& file, const TokenTable& tokens, std::int64_t length,
                  std::int64_t n_sequences, std::int64_t n_labels, const std::vector<LabelColumn>& columns) {
    const auto check = [&](const TokenColumn& column, std::int64_t lowest, std::int64_t end) {
        const auto& values = tokens.*column.values;
        if (values.size() != tokens.token_id.size())
            does_not_fit(file, fmt::format("'{}' has {} entries, '{}' has {}", column.name, values.size(),
                                           kTokenColumns[0].name, tokens.token_id.size()));
        const auto bad = std::find_if(values.begin(), values.end(),
                                      [&](std::int32_t v) { return v < lowest || v >= end; });
        if (bad != values.end())
            does_not_fit(file, fmt::format("its {} {} is not one that run.json knows", column.name, *bad));
    };
    check(kTokenColumns[1], 0, length);
    check(kTokenColumns[2], 0, n_sequences);
    check(kTokenColumns[3], -1, n_labels);
    check(kTokenColumns[4], -1, tokens.size());
    for (std::size_t c = 0; c < columns.size(); ++c) {
        const auto& values = tokens.further[c];
        const std::int64_t end = columns[c].counts() ? std::numeric_limits<std::int32_t>::max()
                                                     : static_cast<std::int64_t>(columns[c].words.size());
        const bool fits =
            std::all_of(values.begin(), values.end(), [&](std::int32_t v) { return v >= -1 && v < end; });
        if (values.size() != tokens.token_id.size() || !fits)
            does_not_fit(file,
                         fmt::format("its column '{}' is not one that run.json knows", columns[c].name));
    }
    std::int32_t next = 0;
    for (const std::int32_t row : tokens.row) {
        if (row >= 0 && row != next++)
            does_not_fit(file, fmt::format("row {} stands where row {} should", row, next - 1));
    }
}

/// Numbers of a stretch count from 0 again; -1 stays.
void renumber(std::vector<std::int32_t>& values) {
    std::int32_t lowest = std::numeric_limits<std::int32_t>::max();
    for (const std::int32_t value : values) {
        if (value >= 0) lowest = std::min(lowest, value);
    }
    for (std::int32_t& value : values) {
        if (value >= 0) value -= lowest;
    }
}

/// Errors: Error when the site is unknown, or lies outside the model.
SiteShape read_site(const fs::path& file, const Json& entry, int n_layers) {
    const auto site = parse_site(entry.at("name").get<std::string>());
    if (!site)
        throw Error("unknown site " + json_text(entry.at("name")) + " in " + file.parent_path().string(), "",
                    "update tomograph");
    if (site->layer >= n_layers)
        does_not_fit(file, fmt::format("it lists {}, the model has {} layers", site->name(), n_layers));
    SiteShape shape{*site, {}};
    if (!entry.at("shape").is_array()) throw JsonError(json_text(entry.at("shape")) + " is no shape");
    for (const Json& extent : entry.at("shape"))
        shape.shape.push_back(whole_number<std::int64_t>(extent, "an extent"));
    constexpr std::int64_t kWidest = 1 << 24;  // far above any model's
    std::int64_t width = 1;
    for (const std::int64_t extent : shape.shape) {
        if (extent < 1 || extent > kWidest / width)
            does_not_fit(file,
                         fmt::format("{} has the shape [{}]", site->name(), fmt::join(shape.shape, ", ")));
        width *= extent;
    }
    return shape;
}

/// A whole number from `json` within what a run may hold.
std::int64_t bounded(const fs::path& file, const char* what, const Json& json, std::int64_t lowest,
                     std::int64_t highest) {
    const auto value = whole_number<std::int64_t>(json, what);
    if (value < lowest || value > highest)
        does_not_fit(file, fmt::format("its {} is {}", what, json_text(json)));
    return value;
}

/// Place among the sites; their number where it is none of them.
std::size_t index_of(const std::vector<SiteShape>& sites, const Site& wanted) {
    return static_cast<std::size_t>(std::ranges::find(sites, wanted, &SiteShape::site) - sites.begin());
}

/// What stands at the path in place of a run. Errors: always.
[[noreturn]] void refuse_no_run(const fs::path& path) {
    const std::string what = "no run at " + path.string(), mend = "make one with: tomograph capture";
    std::error_code error;
    if (!fs::exists(path, error)) throw Error(what, "there is no such folder", mend);
    if (fs::is_directory(path, error)) throw Error(what, "it has no run.json", mend);
    if (path.extension() == ".gguf")
        throw Error(
            what, "it is a model",
            fmt::format("let it read something: tomograph capture {} --text FILE --out RUN", path.string()));
    throw Error(what, "it is a file, and a run is a folder", mend);
}

}  // namespace

Run Run::open(const fs::path& path) {
    switch (folder_kind(path)) {
        case FolderKind::run:
            break;
        case FolderKind::study:
            throw Error(path.string() + " is a study, a folder of runs", "",
                        fmt::format("name one of its runs, for example {}", (path / "text").string()));
        default: {
            const fs::path aside = path.string() + ".replaced";
            if (folder_kind(aside) == FolderKind::run)
                throw Error("no run at " + path.string(),
                            aside.string() + " holds what it was before a capture that was killed",
                            fmt::format("bring it back with: mv {} {}", aside.string(), path.string()));
            refuse_no_run(path);
        }
    }
    Run run;
    run.path_ = path;
    run.files_ = std::make_shared<Files>();
    std::error_code error;
    fs::path file = path / layout::kRun;
    if (!fs::exists(file, error)) file = path / layout::kPlan;
    run.json_ = read_json(file);
    try {
        const auto format = whole_number<std::int64_t>(run.json_.at("format"), "format");
        if (format < kRunFormat)
            throw Error(fmt::format("{} is a run of an earlier tomograph", path.string()),
                        fmt::format("format {}, known is {}", format, kRunFormat),
                        "capture it again, or read it with the version that wrote it");
        if (format > kRunFormat)
            throw Error(path.string() + " was written by a newer tomograph",
                        fmt::format("format {}, known is {}", format, kRunFormat), "update tomograph");
        if (run.json_.value("status", "") != "complete") {
            // What is whole is said by the manifests; run.json may lag behind them.
            file = path / layout::kPlan;
            const std::string text = read_file(file);
            const Json plan = read_json(file);
            run.shards_ = read_manifests(path, plan);
            for (const ShardManifest& shard : run.shards_) {
                if (shard.plan != xxh3_128(std::as_bytes(std::span(text))))
                    does_not_fit(path / layout::manifest_file(shard.number), "it belongs to another capture");
            }
            run.begin_stretch();
            run.json_ =
                run_description(plan, run.shards_, {}, run.shards_.size() == plan.at("shard_ends").size());
        } else {
            for (const Json& shard : run.json_.at("shards")) run.shards_.push_back(shard_manifest(shard));
        }
        run.complete_ = run.json_.at("status") == "complete";
        run.read_description(file);
        run.read_tokens();
        run.check_shards();
        run.find_numbers();
    } catch (const Json::exception& e) {
        throw Error(file.string() + " is not a run's description", json_reason(e), "capture it again");
    }
    return run;
}

/// A part of a capture reads as a run of its own: what it has counts from its first token.
void Run::begin_stretch() {
    if (shards_.empty()) return;
    const ShardManifest::Span sequences = shards_.front().sequences;
    first_token_ = shards_.front().tokens.begin;
    const std::int64_t row = shards_.front().rows.begin;
    const auto shift = [](ShardManifest::Span& span, std::int64_t by) {
        span.begin -= by;
        span.end -= by;
    };
    for (ShardManifest& shard : shards_) {
        shift(shard.sequences, sequences.begin);
        shift(shard.tokens, first_token_);
        shift(shard.rows, row);
    }
}

void Run::read_description(const fs::path& file) {
    const Json& model = json_.at("model");
    const Json& prompts = json_.at("prompts");
    d_model_ = bounded(file, "d_model", model.at("d_model"), 1, 1 << 24);
    n_layers_ = static_cast<int>(bounded(file, "n_layers", model.at("n_layers"), 0, kMostLayers));
    n_sequences_ = bounded(file, "number of sequences", prompts.at("sequences"), 1, kMostSequences);
    length_ = bounded(file, "length", prompts.at("length"), 1, kMostPositions);
    labels_ = json_.value("labels", std::vector<std::string>{});
    if (static_cast<std::int64_t>(labels_.size()) > kMostLabels)
        does_not_fit(
            file, fmt::format("it has {} labels, at most {} can be told apart", labels_.size(), kMostLabels));
    columns_ = columns_from_json(json_.value("columns", Json::array()));
    scores_ = json_.value("scores", std::vector<std::string>{});
    model_name_ = model.value("name", "?");
    prompts_ = prompts.value("kind", "?");
    for (const Json& entry : json_.at("sites")) {
        sites_.push_back(read_site(file, entry, n_layers_));
        stored_.push_back(entry.value("vectors", true));
        ranks_.push_back(entry.contains("scores")
                             ? bounded(file, "number of scores", entry.at("scores"), 1, sites_.back().width())
                             : 0);
    }
    sums_.resize(sites_.size());
    if (sites_.empty()) does_not_fit(file, "it lists no sites");
    for (std::size_t i = 0; i < sites_.size(); ++i) read_parts(file, json_.at("sites")[i], i);
    has_means_ = json_.value("means", true);
    has_moments_ = json_.value("moments", false);
}

/// Errors: Error unless these are sites with vectors of their own, as wide as the sum.
void Run::read_parts(const fs::path& file, const Json& entry, std::size_t site) {
    for (const std::string& name : entry.value("sum_of", std::vector<std::string>{})) {
        const auto named = parse_site(name);
        const std::size_t part = named ? index_of(sites_, *named) : sites_.size();
        if (part == sites_.size() || !stored_[part] || ranks_[part] > 0 || stored_[site] ||
            ranks_[site] > 0 || sites_[part].width() != sites_[site].width())
            does_not_fit(file, fmt::format("{} is no sum of {}", sites_[site].site.name(), name));
        sums_[site].push_back(part);
    }
}

void Run::read_tokens() {
    const fs::path file = path_ / layout::kTokens;
    const Safetensors tokens(file);
    for (const TokenColumn& column : kTokenColumns) tokens_.*column.values = tokens.integers(column.name);
    for (const LabelColumn& column : columns_) tokens_.further.push_back(tokens.integers(column.name));
    check_tokens(file, tokens_, length_, n_sequences_, static_cast<std::int64_t>(labels_.size()), columns_);
    planned_tokens_ = tokens_.size();
    if (complete_) {
        // Whoever counts by these numbers makes tables of their size.
        const auto end = [](const std::vector<std::int32_t>& values) {
            return values.empty() ? 0 : std::int64_t{*std::max_element(values.begin(), values.end())} + 1;
        };
        if (end(tokens_.position) != length_)
            does_not_fit(file, fmt::format("its longest sequence has {} tokens, run.json says {}",
                                           end(tokens_.position), length_));
        if (end(tokens_.sequence) != n_sequences_)
            does_not_fit(file, fmt::format("it has {} sequences, run.json says {}", end(tokens_.sequence),
                                           n_sequences_));
    } else {
        const std::int64_t there = shards_.empty() ? 0 : shards_.back().tokens.end;
        if (there < 0 || first_token_ < 0 || there > tokens_.size() - first_token_)
            does_not_fit(file, fmt::format("it has {} tokens, the shards {}", tokens_.size(), there));
        length_ = n_sequences_ = 0;
        const auto cut = [&](std::vector<std::int32_t>& values) {
            values.erase(values.begin(), values.begin() + first_token_);
            values.resize(static_cast<std::size_t>(there));
        };
        for (const TokenColumn& column : kTokenColumns) cut(tokens_.*column.values);
        for (auto& values : tokens_.further) cut(values);
        renumber(tokens_.sequence);
        renumber(tokens_.row);
        for (const std::int32_t p : tokens_.position) length_ = std::max(length_, std::int64_t{p} + 1);
        for (const std::int32_t s : tokens_.sequence)
            n_sequences_ = std::max(n_sequences_, std::int64_t{s} + 1);
    }
    for (std::size_t t = 0; t < tokens_.row.size(); ++t) {
        if (tokens_.row[t] >= 0) rows_.push_back(static_cast<std::int32_t>(t));
    }
}

/// Everything but what is in the files; that they are there and as long as they were.
void Run::check_shards() const {
    std::int64_t token = 0, row = 0;
    for (std::size_t i = 0; i < shards_.size(); ++i) {
        const ShardManifest& shard = shards_[i];
        const std::size_t number = shards_.front().number + i;
        const fs::path manifest = path_ / layout::manifest_file(number);
        const bool tiles = shard.number == number && shard.tokens.begin == token &&
                           shard.tokens.end > token && shard.tokens.end <= n_tokens() &&
                           shard.rows.begin == row && shard.rows.end >= row && shard.rows.end <= n_rows();
        if (!tiles)
            does_not_fit(manifest,
                         i == 0 ? "shard 0 does not begin at the first token"
                                : fmt::format("shard {} does not go on where shard {} ended", i, i - 1));
        token = shard.tokens.end;
        row = shard.rows.end;
        const auto kept = std::upper_bound(rows_.begin(), rows_.end(), token - 1) - rows_.begin();
        if (kept != row)
            does_not_fit(manifest, fmt::format("it says {} rows, its tokens have {}", row, kept));
        for (const FileEntry& file : shard.files) {
            if (file.file != layout::vectors_file(number) && file.file != layout::stats_file(number) &&
                file.file != layout::moments_file(number))
                does_not_fit(manifest, "it names " + file.file);
            std::error_code error;
            const std::uint64_t bytes = fs::file_size(path_ / file.file, error);
            if (error) throw Error("cannot open " + (path_ / file.file).string(), error.message(), "");
            if (bytes != file.bytes)
                throw Error((path_ / file.file).string() + " was cut or damaged",
                            fmt::format("it has {} bytes, {} were written", bytes, file.bytes),
                            "capture again with --resume");
        }
    }
    if (token != n_tokens())
        does_not_fit(path_ / layout::kRun, fmt::format("its shards have {} of {} tokens", token, n_tokens()));
}

bool Run::has_site(const Site& wanted) const {
    return index_of(sites_, wanted) < sites_.size();
}

bool Run::has_vectors(const Site& wanted) const {
    const std::size_t i = index_of(sites_, wanted);
    return i < sites_.size() && (stored_[i] || ranks_[i] > 0 || !sums_[i].empty()) && !rows_.empty();
}

std::int64_t Run::rank(const Site& wanted) const {
    const std::size_t i = index_of(sites_, wanted);
    return i < sites_.size() ? ranks_[i] : 0;
}

std::vector<Site> Run::sum_of(const Site& wanted) const {
    std::vector<Site> parts;
    if (!has_site(wanted)) return parts;
    for (const std::size_t part : sums_[index_of(sites_, wanted)]) parts.push_back(sites_[part].site);
    return parts;
}

const SiteShape& Run::site(const Site& wanted) const {
    if (const std::size_t i = index_of(sites_, wanted); i < sites_.size()) return sites_[i];
    throw Error(fmt::format("no site {} in {}", wanted.name(), path_.string()),
                fmt::format("it has {} sites, {} to {}", sites_.size(), sites_.front().site.name(),
                            sites_.back().site.name()),
                "");
}

const std::vector<std::string>& Run::pieces() const {
    std::call_once(files_->pieces_read, [&] {
        const fs::path file = path_ / layout::kPieces;
        std::vector<std::string> pieces;
        std::ifstream in(file, std::ios::binary);
        if (!in) throw Error("cannot read " + file.string(), "", "");
        try {
            std::int64_t token = 0;
            for (std::string line; std::getline(in, line) && std::ssize(pieces) < n_tokens();) {
                const Json json = parse_json(line);
                for (const Json& piece : json.at("pieces")) {
                    if (token++ >= first_token_) pieces.push_back(piece_from_json(piece));
                }
            }
        } catch (const Json::exception& e) {
            throw Error(file.string() + " is damaged", json_reason(e), "capture it again");
        }
        pieces.resize(static_cast<std::size_t>(tokens_.size()));
        files_->pieces = std::move(pieces);
    });
    return files_->pieces;
}

std::shared_ptr<const Safetensors> Run::vectors(std::size_t shard) const {
    return files_->get(path_, layout::vectors_file(shard));
}

std::shared_ptr<const Safetensors> Run::stats(std::size_t shard) const {
    return files_->get(path_, layout::stats_file(shard));
}

/// What does not fit is passed over: it was computed from a run that has gone on since, or is no such file.
void Run::find_numbers() {
    n_captured_scores_ = scores_.size();
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(path_ / layout::kNumbers, error)) {
        const std::string name = entry.path().stem().string();
        if (entry.path().extension() != ".safetensors" || !layout::is_number_name(name) ||
            std::ranges::find(scores_, name) != scores_.end())
            continue;
        try {
            const Safetensors file(entry.path());
            const auto& tensors = file.tensors();
            const auto found = tensors.find(name);
            if (found != tensors.end() && found->second.dtype == Dtype::f32 &&
                found->second.n_rows() == n_tokens() && found->second.width() == 1)
                scores_.push_back(name);
        } catch (const Error&) {
            continue;
        }
    }
    std::sort(scores_.begin() + static_cast<std::ptrdiff_t>(n_captured_scores_), scores_.end());
}

std::shared_ptr<const Safetensors> Run::merged(const char* name) const {
    std::error_code error;
    if (!complete_ || !fs::exists(path_ / name, error)) return nullptr;
    return files_->get(path_, name);
}

void Run::read_rows(const Site& wanted, std::int64_t begin, std::int64_t end, float* out) const {
    const std::string name = wanted.name();
    const SiteShape& shape = site(wanted);
    const auto index = static_cast<std::size_t>(&shape - sites_.data());
    const std::int64_t width = shape.width(), scores = ranks_[index];
    if (const std::vector<std::size_t>& parts = sums_[index]; !parts.empty()) {
        read_rows(sites_[parts.front()].site, begin, end, out);
        std::vector<float> more(parts.size() > 1 ? static_cast<std::size_t>((end - begin) * width) : 0);
        for (std::size_t part = 1; part < parts.size(); ++part) {
            read_rows(sites_[parts[part]].site, begin, end, more.data());
            for (std::size_t i = 0; i < more.size(); ++i) out[i] += more[i];
        }
        return;
    }
    auto shard = std::upper_bound(shards_.begin(), shards_.end(), begin,
                                  [](std::int64_t row, const ShardManifest& s) { return row < s.rows.end; });
    for (; begin < end; ++shard) {
        if (shard->rows.size() == 0) continue;
        if (scores > 0) {
            const std::int64_t take = std::min(end, shard->rows.end) - begin;
            read_scores(shape, *shard, begin - shard->rows.begin, begin - shard->rows.begin + take, out);
            out += take * width;
            begin += take;
            continue;
        }
        const auto file = vectors(shard->number);
        const auto& tensor = file->at(name);
        if (tensor.n_rows() != shard->rows.size() || tensor.width() != width || tensor.dtype == Dtype::i32)
            does_not_fit(path_ / layout::vectors_file(shard->number),
                         name + " has another shape than run.json says");
        const std::int64_t local = begin - shard->rows.begin;
        const std::int64_t take = std::min(end - begin, tensor.n_rows() - local);
        tensor.read_rows(local, local + take, out);
        out += take * width;
        begin += take;
    }
}

void Run::release() const {
    const std::lock_guard lock(files_->mutex);
    for (const auto& [name, open] : files_->open) open.file->release();
}

std::vector<float> Run::numbers(const char* merged_file, const std::string& merged_tensor,
                                const std::string& shard_tensor, const std::string& what, std::int64_t begin,
                                std::int64_t end) const {
    std::vector<float> values(static_cast<std::size_t>(end - begin));
    // Tokens [first, first + n) are in this file; those of them that are wanted go to their places.
    const auto read = [&](const Safetensors& file, const std::string& tensor_name, std::int64_t first,
                          std::int64_t n) {
        const auto& tensor = file.at(tensor_name);
        if (tensor.n_rows() != n || tensor.width() != 1 || tensor.dtype == Dtype::i32)
            does_not_fit(file.path(), fmt::format("{} a token", what));
        const std::int64_t from = std::max(begin, first), to = std::min(end, first + n);
        tensor.read_rows(from - first, to - first, values.data() + (from - begin));
    };
    if (const auto file = merged(merged_file)) {
        read(*file, merged_tensor, 0, n_tokens());
        return values;
    }
    for (const ShardManifest& shard : shards_) {
        if (shard.tokens.begin < end && shard.tokens.end > begin)
            read(*stats(shard.number), shard_tensor, shard.tokens.begin, shard.tokens.size());
    }
    return values;
}

std::vector<float> Run::norms(const Site& wanted) const {
    return norms(wanted, 0, n_tokens());
}

std::vector<float> Run::norms(const Site& wanted, std::int64_t begin, std::int64_t end) const {
    const std::string name = site(wanted).site.name();
    return numbers(layout::kNorms, name, layout::norms_tensor(name), name + " has not one norm", begin, end);
}

std::vector<float> Run::score(const std::string& name) const {
    const auto found = std::find(scores_.begin(), scores_.end(), name);
    if (found == scores_.end())
        throw Error(fmt::format("no score '{}' in {}", name, path_.string()),
                    scores_.empty() ? "it was captured without --scores"
                                    : fmt::format("it has {}", fmt::join(scores_, ", ")),
                    "");
    if (found - scores_.begin() >= static_cast<std::ptrdiff_t>(n_captured_scores_)) {
        std::vector<float> values(static_cast<std::size_t>(n_tokens()));
        Safetensors(path_ / layout::numbers_file(name)).at(name).read_rows(0, n_tokens(), values.data());
        return values;
    }
    return numbers(layout::kScores, name, layout::scores_tensor(name), name + " has not one number", 0,
                   n_tokens());
}

std::size_t Run::column(const std::string& name) const {
    const auto found =
        std::find_if(columns_.begin(), columns_.end(), [&](const LabelColumn& c) { return c.name == name; });
    if (found != columns_.end()) return static_cast<std::size_t>(found - columns_.begin());
    std::string names;
    for (const LabelColumn& column : columns_) names += (names.empty() ? "" : ", ") + column.name;
    throw Error(fmt::format("no column '{}' in {}", name, path_.string()),
                names.empty() ? "it has no further columns" : "it has " + names, "");
}

}  // namespace tomograph
