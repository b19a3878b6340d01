#include "tomograph/maps/neighbor_file.h"

#include <algorithm>
#include <filesystem>
#include <span>
#include <string>

#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/store/safetensors.h"

namespace tomograph {
namespace {

std::filesystem::path path_of(const Run& run, const Json& how, const char* extension) {
    const std::string text = json_text(how);
    const std::string key = xxh3_128(std::as_bytes(std::span(text))).substr(0, 16);
    return run.path() / "neighbors" / (key + extension);
}

}  // namespace

void save_neighbors(const Run& run, const Json& how, const std::vector<std::int64_t>& rows,
                    const Neighbors& neighbors) {
    const auto path = path_of(run, how, ".safetensors");
    std::filesystem::create_directories(path.parent_path());
    const std::int64_t n = neighbors.indices.rows(), k = neighbors.indices.cols();
    const std::vector<std::int32_t> of_selection(rows.begin(), rows.end());
    write_safetensors(path, {{{"indices", Dtype::i32, {n, k}}, neighbors.indices.data()},
                             {{"distances", Dtype::f32, {n, k}}, neighbors.distances.data()},
                             {{"rows", Dtype::i32, {n}}, of_selection.data()}});
    Json json = how;
    json["recall"] = neighbors.recall;
    json["search"] = neighbors.method;
    write_json(path_of(run, how, ".json"), json);
}

std::optional<Neighbors> load_neighbors(const Run& run, const Json& how) {
    const auto path = path_of(run, how, ".safetensors"), description = path_of(run, how, ".json");
    if (!std::filesystem::exists(path) || !std::filesystem::exists(description)) return std::nullopt;
    try {
        const Json json = read_json(description);
        Neighbors neighbors;
        neighbors.recall = json.at("recall").get<double>();
        neighbors.method = json.at("search").get<std::string>();
        const Safetensors file(path);
        const auto& distances = file.at("distances");
        const std::int64_t n = distances.n_rows(), k = distances.width();
        const std::vector<std::int32_t> indices = file.integers("indices");
        const auto is_row = [&](std::int32_t row) { return row >= 0 && row < n; };
        if (static_cast<std::int64_t>(indices.size()) != n * k || !std::ranges::all_of(indices, is_row))
            return std::nullopt;
        neighbors.indices = Eigen::Map<const IndexMatrix>(indices.data(), n, k);
        neighbors.distances.resize(n, k);
        distances.read_rows(0, n, neighbors.distances.data());
        return neighbors;
    } catch (const Error&) {
        return std::nullopt;
    } catch (const Json::exception&) {
        return std::nullopt;
    }
}

}  // namespace tomograph
