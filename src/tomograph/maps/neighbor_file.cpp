#include "tomograph/maps/neighbor_file.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/maps/run_files.h"
#include "tomograph/store/safetensors.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;

fs::path path_of(const Run& run, const Json& how, const char* extension) {
    const std::string text = json_text(how);
    const std::string key = xxh3_128(std::as_bytes(std::span(text))).substr(0, 16);
    return run.path() / "neighbors" / (key + extension);
}

/// One search that is kept: KEY.safetensors and KEY.json, or what an interrupted program left of them.
struct Kept {
    fs::file_time_type used = fs::file_time_type::min();  // when KEY.json was written or last read
    std::uint64_t bytes = 0;
    std::vector<fs::path> files;
};

/// By KEY. What cannot be looked at, since another program just deleted it, takes no room.
std::map<std::string, Kept> all_kept(const fs::path& folder) {
    std::map<std::string, Kept> all;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder, error)) {
        Kept& kept = all[entry.path().stem().string()];
        const auto bytes = entry.file_size(error);
        if (!error) kept.bytes += bytes;
        if (const auto used = entry.last_write_time(error); !error && entry.path().extension() == ".json")
            kept.used = used;
        kept.files.push_back(entry.path());
    }
    return all;
}

/// Delete those used longest ago until `bytes` more have room.
void make_room(const fs::path& folder, const std::string& key, std::uint64_t bytes,
               std::uint64_t most_bytes) {
    auto all = all_kept(folder);
    all.erase(key);  // is about to be replaced
    std::vector<Kept> by_use;
    for (auto& [_, kept] : all) {
        bytes += kept.bytes;
        by_use.push_back(std::move(kept));
    }
    std::ranges::stable_sort(by_use, {}, &Kept::used);
    for (const Kept& kept : by_use) {
        if (bytes <= most_bytes) return;
        std::error_code ignored;
        for (const fs::path& file : kept.files) fs::remove(file, ignored);
        bytes -= kept.bytes;
    }
}

}  // namespace

void save_neighbors(const Run& run, const Json& how, const std::vector<std::int64_t>& rows,
                    const Neighbors& neighbors, std::uint64_t most_bytes) {
    const auto path = path_of(run, how, ".safetensors");
    const std::int64_t n = neighbors.indices.rows(), k = neighbors.indices.cols();
    const auto bytes = static_cast<std::uint64_t>(n) * static_cast<std::uint64_t>(2 * k + 1) * 4;
    if (bytes > most_bytes) return;
    make_run_folder(path.parent_path());
    make_room(path.parent_path(), path.stem().string(), bytes, most_bytes);
    const std::vector<std::int32_t> of_selection(rows.begin(), rows.end());
    write_safetensors(path, {{{"indices", Dtype::i32, {n, k}}, neighbors.indices.data()},
                             {{"distances", Dtype::f32, {n, k}}, neighbors.distances.data()},
                             {{"rows", Dtype::i32, {n}}, of_selection.data()}});
    Json json = how;
    json["recall"] = neighbors.recall;
    json["search"] = neighbors.method;
    try {
        write_json(path_of(run, how, ".json"), json);
    } catch (const Error&) {
        std::error_code ignored;
        fs::remove(path, ignored);  // without its description nobody can use it
        throw;
    }
}

std::optional<Neighbors> load_neighbors(const Run& run, const Json& how) {
    const auto path = path_of(run, how, ".safetensors"), description = path_of(run, how, ".json");
    if (!fs::exists(path) || !fs::exists(description)) return std::nullopt;
    try {
        const Json json = read_json(description);
        Neighbors neighbors;
        neighbors.recall = json.at("recall").get<double>();
        neighbors.method = json.at("search").get<std::string>();
        const Safetensors file(path);
        const auto& distances = file.at("distances");
        const std::int64_t n = distances.n_rows(), k = distances.width();
        if (distances.dtype != Dtype::f32) return std::nullopt;
        const std::vector<std::int32_t> indices = file.integers("indices");
        const auto is_row = [&](std::int32_t row) { return row >= 0 && row < n; };
        if (static_cast<std::int64_t>(indices.size()) != n * k || !std::ranges::all_of(indices, is_row))
            return std::nullopt;
        neighbors.indices = Eigen::Map<const IndexMatrix>(indices.data(), n, k);
        neighbors.distances.resize(n, k);
        distances.read_rows(0, n, neighbors.distances.data());
        if (!neighbors.distances.allFinite() || (neighbors.distances.array() < 0).any()) return std::nullopt;
        std::error_code ignored;  // a run that is read-only
        fs::last_write_time(description, fs::file_time_type::clock::now(), ignored);
        return neighbors;
    } catch (const Error&) {
        return std::nullopt;
    } catch (const Json::exception&) {
        return std::nullopt;
    }
}

}  // namespace tomograph
