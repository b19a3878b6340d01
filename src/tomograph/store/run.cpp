#include "tomograph/store/run.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "tomograph/base/error.h"
#include "tomograph/base/text.h"
#include "tomograph/store/run_folder.h"

namespace tomograph {
namespace fs = std::filesystem;

FolderKind folder_kind(const fs::path& path) {
    std::error_code error;
    if (!fs::exists(path, error)) return FolderKind::none;
    if (!fs::is_directory(path, error)) return FolderKind::other;
    if (fs::exists(path / "run.json", error)) return FolderKind::run;
    if (fs::exists(path / "study.json", error)) return FolderKind::study;
    return fs::is_empty(path, error) ? FolderKind::none : FolderKind::other;
}

void check_output_folder(const fs::path& path, bool force) {
    switch (folder_kind(path)) {
        case FolderKind::none:
            return;
        case FolderKind::other:
            throw Error(path.string() + " exists and is not a run",
                        "it will not be deleted, with --force neither", "name another --out");
        default:
            if (!force)
                throw Error(path.string() + " exists", "",
                            "use --force to replace it, or name another --out");
    }
}

namespace {

[[noreturn]] void does_not_fit(const fs::path& file, const std::string& why) {
    throw Error(file.string() + " does not fit its run", why, "capture it again");
}

/// Everything after this indexes by these numbers: they are checked once, here.
void check_tokens(const fs::path& file, const TokenTable& tokens, std::int64_t length,
                  std::int64_t n_sequences, std::int64_t n_labels) {
    const auto check = [&](const char* name, const std::vector<std::int32_t>& values, std::int64_t lowest,
                           std::int64_t end) {
        if (values.size() != tokens.token_id.size())
            does_not_fit(file, fmt::format("'{}' has {} entries, 'token_id' has {}", name, values.size(),
                                           tokens.token_id.size()));
        const auto bad = std::find_if(values.begin(), values.end(),
                                      [&](std::int32_t v) { return v < lowest || v >= end; });
        if (bad != values.end())
            does_not_fit(file, fmt::format("its {} {} is not one that run.json knows", name, *bad));
    };
    check("position", tokens.position, 0, length);
    check("sequence", tokens.sequence, 0, n_sequences);
    check("label", tokens.label, -1, n_labels);
}

/// Errors: Error when the site is unknown, or lies outside the model.
SiteShape read_site(const fs::path& path, const Json& entry, int n_layers) {
    const auto site = parse_site(entry.at("name").get<std::string>());
    if (!site)
        throw Error("unknown site " + json_text(entry.at("name")) + " in " + path.string(), "",
                    "update tomograph");
    if (site->layer >= n_layers)
        does_not_fit(path / "run.json",
                     fmt::format("it lists {}, the model has {} layers", site->name(), n_layers));
    SiteShape shape{*site, entry.at("shape").get<std::vector<std::int64_t>>()};
    constexpr std::int64_t kWidest = 1 << 24;  // far above any model's
    std::int64_t width = 1;
    for (const std::int64_t extent : shape.shape) {
        if (extent < 1 || extent > kWidest / width)
            does_not_fit(path / "run.json",
                         fmt::format("{} has the shape [{}]", site->name(), fmt::join(shape.shape, ", ")));
        width *= extent;
    }
    return shape;
}

}  // namespace

Run Run::open(const fs::path& path) {
    switch (folder_kind(path)) {
        case FolderKind::run:
            break;
        case FolderKind::study:
            throw Error(path.string() + " is a study, a folder of runs", "",
                        fmt::format("name one of its runs, for example {}", run_folder(path).string()));
        default:
            throw Error("no run at " + path.string(), "it has no run.json",
                        "make one with: tomograph capture");
    }
    Run run;
    run.path_ = path;
    run.json_ = read_json(path / "run.json");
    try {
        const int format = run.json_.at("format").get<int>();
        if (format > kRunFormat) {
            throw Error(path.string() + " was written by a newer tomograph",
                        fmt::format("format {}, known is {}", format, kRunFormat), "update tomograph");
        }
        run.d_model_ = run.json_.at("model").at("d_model").get<std::int64_t>();
        run.n_layers_ = run.json_.at("model").at("n_layers").get<int>();
        run.n_sequences_ = run.json_.at("prompts").at("sequences").get<std::int64_t>();
        run.length_ = run.json_.at("prompts").at("length").get<std::int64_t>();
        run.labels_ = run.json_.value("labels", std::vector<std::string>{});
        run.model_name_ = run.json_.at("model").value("name", "?");
        run.prompts_ = run.json_.at("prompts").value("kind", "?");
        run.complete_ = run.json_.value("status", "") == "complete";
        for (const Json& entry : run.json_.at("sites")) {
            run.sites_.push_back(read_site(path, entry, run.n_layers_));
            run.stored_.push_back(entry.value("vectors", true));
        }
        if (run.sites_.empty()) does_not_fit(path / "run.json", "it lists no sites");
        const Safetensors tokens(path / "tokens.safetensors");
        run.tokens_ = {tokens.integers("token_id"), tokens.integers("position"), tokens.integers("sequence"),
                       tokens.integers("label")};
        check_tokens(path / "tokens.safetensors", run.tokens_, run.length_, run.n_sequences_,
                     static_cast<std::int64_t>(run.labels_.size()));
        for (const Json& entry : run.json_.at("shards")) {
            const fs::path file = path / entry.at("file").get<std::string>();
            auto shard = std::make_shared<Safetensors>(file);
            const auto rows = shard->integers("rows");
            for (std::size_t i = 0; i < run.sites_.size(); ++i) {
                if (!run.stored_[i]) continue;
                const SiteShape& site = run.sites_[i];
                const auto& tensor = shard->at(site.site.name());
                if (tensor.n_rows() != static_cast<std::int64_t>(rows.size()) ||
                    tensor.width() != site.width()) {
                    does_not_fit(file, site.site.name() + " has another shape than run.json says");
                }
            }
            for (const std::int32_t row : rows) {
                if (row < 0 || row >= run.tokens_.size())
                    does_not_fit(file, fmt::format("row {} is no token", row));
            }
            run.shards_.push_back({run.n_rows(), std::move(shard)});
            run.rows_.insert(run.rows_.end(), rows.begin(), rows.end());
        }
    } catch (const nlohmann::json::exception& e) {
        throw Error((path / "run.json").string() + " is not a run's description", e.what(),
                    "capture it again");
    }
    return run;
}

bool Run::has_site(const Site& wanted) const {
    return std::any_of(sites_.begin(), sites_.end(), [&](const SiteShape& s) { return s.site == wanted; });
}

bool Run::has_vectors(const Site& wanted) const {
    for (std::size_t i = 0; i < sites_.size(); ++i) {
        if (sites_[i].site == wanted) return stored_[i] && !shards_.empty();
    }
    return false;
}

const SiteShape& Run::site(const Site& wanted) const {
    for (const SiteShape& candidate : sites_) {
        if (candidate.site == wanted) return candidate;
    }
    throw Error(fmt::format("no site {} in {}", wanted.name(), path_.string()),
                fmt::format("it has {} sites, {} to {}", sites_.size(), sites_.front().site.name(),
                            sites_.back().site.name()),
                "");
}

const std::vector<std::string>& Run::pieces() const {
    if (!pieces_) {
        auto pieces = std::make_shared<std::vector<std::string>>();
        std::ifstream in(path_ / "tokens.jsonl", std::ios::binary);
        if (!in) throw Error("cannot read " + (path_ / "tokens.jsonl").string(), "", "");
        try {
            for (std::string line; std::getline(in, line);) {
                const Json json = parse_json(line);
                for (const Json& piece : json.at("pieces")) pieces->push_back(piece_from_json(piece));
            }
        } catch (const nlohmann::json::exception& e) {
            throw Error((path_ / "tokens.jsonl").string() + " is damaged", e.what(), "capture it again");
        }
        pieces->resize(static_cast<std::size_t>(tokens_.size()));
        pieces_ = std::move(pieces);
    }
    return *pieces_;
}

void Run::read_rows(const Site& wanted, std::int64_t begin, std::int64_t end, float* out) const {
    const std::string name = wanted.name();
    const std::int64_t width = site(wanted).width();
    auto shard = std::upper_bound(shards_.begin(), shards_.end(), begin,
                                  [](std::int64_t row, const Shard& s) { return row < s.first_row; });
    if (shard != shards_.begin()) --shard;
    while (begin < end) {
        const auto& tensor = shard->file->at(name);
        const std::int64_t local = begin - shard->first_row;
        const std::int64_t take = std::min(end - begin, tensor.n_rows() - local);
        tensor.read_rows(local, local + take, out);
        out += take * width;
        begin += take;
        ++shard;
    }
}

std::vector<std::string> damaged_shards(const Run& run, std::size_t* n_checked) {
    std::vector<std::string> damaged;
    std::size_t count = 0;
    for (const Json& shard : run.json().at("shards")) {
        const std::string checksum = shard.value("xxh3_128", ""), file = shard.at("file").get<std::string>();
        if (checksum.empty()) continue;
        ++count;
        if (xxh3_128(MappedFile(run.path() / file).bytes()) != checksum) damaged.push_back(file);
    }
    if (n_checked != nullptr) *n_checked = count;
    return damaged;
}

void Run::release() const {
    for (const Shard& shard : shards_) shard.file->release();
}

const Safetensors& Run::stats_file(const char* name) const {
    auto& file = stats_[name];
    if (!file) {
        const fs::path where = path_ / "stats" / name;
        if (!fs::exists(where))
            throw Error(where.string() + " is missing", complete() ? "" : "the run is incomplete",
                        "capture it again");
        file = std::make_shared<Safetensors>(where);
    }
    return *file;
}

bool Run::has_stats() const {
    return fs::exists(path_ / "stats" / "norms.safetensors");
}

std::vector<float> Run::norms(const Site& wanted) const {
    const auto& tensor = stats_file("norms.safetensors").at(site(wanted).site.name());
    if (tensor.n_rows() != n_tokens() || tensor.width() != 1)
        does_not_fit(path_ / "stats/norms.safetensors", wanted.name() + " has not one norm a token");
    std::vector<float> values(static_cast<std::size_t>(tensor.n_rows()));
    tensor.read_rows(0, tensor.n_rows(), values.data());
    return values;
}

Matrix Run::means(const Site& wanted) const {
    const auto& tensor = stats_file("means.safetensors").at(site(wanted).site.name());
    if (tensor.n_rows() != length() || tensor.width() != site(wanted).width())
        does_not_fit(path_ / "stats/means.safetensors", wanted.name() + " has not one mean a position");
    Matrix values(tensor.n_rows(), tensor.width());
    tensor.read_rows(0, tensor.n_rows(), values.data());
    return values;
}

}  // namespace tomograph
