#pragma once
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "tomograph/base/json.h"
#include "tomograph/base/matrix.h"
#include "tomograph/base/random.h"
#include "tomograph/base/text.h"
#include "tomograph/store/run.h"
#include "tomograph/store/safetensors.h"

namespace tomograph::test {

struct SketchSite {
    std::string name;
    std::vector<std::int64_t> shape;
    bool stored = true;  ///< are its vectors kept?

    std::int64_t width() const { return TensorSpec{name, Dtype::f32, shape}.n_elements(); }
};

/// A run folder made by hand, so that every number in it is known and no model is needed. What a test leaves
/// alone is a complete run of three layers, three sequences and several shards.
struct RunSketch {
    static constexpr std::int64_t kDModel = 6;

    int n_layers = 3;
    std::vector<std::int64_t> lengths{5, 5, 3};  ///< tokens of each sequence
    std::vector<SketchSite> sites = all_sites();
    std::vector<std::string> labels = {};
    std::vector<std::int32_t> token_labels = {};  ///< a token; empty: none
    std::vector<std::string> pieces = {};         ///< a token; empty: "a", "b", "c" …
    std::vector<std::int32_t> rows = {};          ///< tokens whose vectors are kept; empty: all
    std::int64_t shard_rows = 4;
    bool vectors = true;
    bool stats = true;
    std::function<void(Json&)> edit = {};  ///< last change to run.json
    /// What a site holds for a token, [width]; empty: vector()'s own.
    std::function<Vector(const std::string& site, std::int64_t token)> value_of = {};

    static std::vector<SketchSite> all_sites() {
        std::vector<SketchSite> all{{"embed", {kDModel}}};
        for (int layer = 0; layer < 3; ++layer) {
            const std::string block = "blocks." + std::to_string(layer) + ".";
            all.push_back({block + "z", {2, 3}});
            all.push_back({block + "attn_out", {kDModel}});
            all.push_back({block + "router", {4}});
            all.push_back({block + "mlp_out", {kDModel}});
        }
        return all;
    }

    std::int64_t n_tokens() const {
        std::int64_t n = 0;
        for (const std::int64_t length : lengths) n += length;
        return n;
    }
    std::int64_t longest() const {
        std::int64_t longest = 0;
        for (const std::int64_t length : lengths) longest = std::max(longest, length);
        return longest;
    }
    /// Position and sequence of a token.
    std::pair<std::int32_t, std::int32_t> place(std::int64_t token) const {
        std::int32_t sequence = 0;
        for (const std::int64_t length : lengths) {
            if (token < length) return {static_cast<std::int32_t>(token), sequence};
            token -= length;
            ++sequence;
        }
        throw std::out_of_range("no such token");
    }
    std::vector<std::int32_t> kept() const {
        if (!vectors || !rows.empty()) return vectors ? rows : std::vector<std::int32_t>{};
        std::vector<std::int32_t> all;
        for (std::int64_t token = 0; token < n_tokens(); ++token)
            all.push_back(static_cast<std::int32_t>(token));
        return all;
    }
    std::int64_t width(const std::string& site) const {
        for (const SketchSite& candidate : sites) {
            if (candidate.name == site) return candidate.width();
        }
        throw std::out_of_range(site);
    }
    /// What a site holds for a token: in [-1, 3), different everywhere.
    Vector vector(const std::string& site, std::int64_t token) const {
        if (value_of) return value_of(site, token);
        Vector own(width(site));
        const std::uint64_t seed = std::hash<std::string>{}(site);
        for (Eigen::Index i = 0; i < own.size(); ++i) {
            const std::uint64_t bits =
                mix(seed, static_cast<std::uint64_t>(token), static_cast<std::uint64_t>(i));
            own[i] = static_cast<float>(4 * to_unit(bits) - 1);
        }
        return own;
    }

    void write(const std::filesystem::path& folder) const {
        std::filesystem::create_directories(folder / "vectors");
        write_tokens(folder);
        Json run = {{"format", kRunFormat}, {"status", "complete"}};
        run["model"] = {{"name", "sketch"}, {"d_model", kDModel}, {"n_layers", n_layers}};
        run["prompts"] = {{"kind", "text"}, {"sequences", lengths.size()}, {"length", longest()}};
        run["labels"] = labels;
        for (const SketchSite& site : sites) {
            run["sites"].push_back(
                {{"name", site.name}, {"shape", site.shape}, {"vectors", vectors && site.stored}});
        }
        run["shards"] = Json::array();
        const auto tokens = kept();
        for (std::size_t begin = 0; begin < tokens.size(); begin += static_cast<std::size_t>(shard_rows)) {
            const std::size_t end = std::min(tokens.size(), begin + static_cast<std::size_t>(shard_rows));
            const std::string file = "vectors/" + std::to_string(begin) + ".safetensors";
            write_shard(folder / file, {tokens.begin() + static_cast<std::ptrdiff_t>(begin),
                                        tokens.begin() + static_cast<std::ptrdiff_t>(end)});
            run["shards"].push_back({{"file", file}, {"rows", end - begin}});
        }
        if (stats) write_stats(folder / "stats");
        if (edit) edit(run);
        write_json(folder / "run.json", run);
    }

  private:
    void write_tokens(const std::filesystem::path& folder) const {
        std::vector<std::int32_t> ids, positions, sequences, its_labels = token_labels;
        std::ofstream lines(folder / "tokens.jsonl", std::ios::binary);
        std::int64_t token = 0;
        for (std::size_t s = 0; s < lengths.size(); ++s) {
            Json line = {{"sequence", s}, {"pieces", Json::array()}};
            for (std::int64_t p = 0; p < lengths[s]; ++p, ++token) {
                ids.push_back(static_cast<std::int32_t>(100 + token));
                positions.push_back(static_cast<std::int32_t>(p));
                sequences.push_back(static_cast<std::int32_t>(s));
                const auto letter = static_cast<char>('a' + token % 26);
                line["pieces"].push_back(piece_to_json(
                    pieces.empty() ? std::string(1, letter) : pieces.at(static_cast<std::size_t>(token))));
            }
            lines << line.dump() << "\n";
        }
        its_labels.resize(ids.size(), -1);
        const std::vector<std::int64_t> shape{token};
        write_safetensors(folder / "tokens.safetensors", {{{"token_id", Dtype::i32, shape}, ids.data()},
                                                          {{"position", Dtype::i32, shape}, positions.data()},
                                                          {{"sequence", Dtype::i32, shape}, sequences.data()},
                                                          {{"label", Dtype::i32, shape}, its_labels.data()}});
    }

    void write_shard(const std::filesystem::path& file, const std::vector<std::int32_t>& tokens) const {
        const auto n = static_cast<std::int64_t>(tokens.size());
        std::vector<Matrix> values;
        std::vector<TensorData> tensors;
        values.reserve(sites.size());
        for (const SketchSite& site : sites) {
            if (!site.stored) continue;
            Matrix& matrix = values.emplace_back(n, site.width());
            for (std::int64_t row = 0; row < n; ++row)
                matrix.row(row) = vector(site.name, tokens[static_cast<std::size_t>(row)]);
            TensorSpec spec{site.name, Dtype::f32, {n}};
            spec.shape.insert(spec.shape.end(), site.shape.begin(), site.shape.end());
            tensors.push_back({spec, matrix.data()});
        }
        tensors.push_back({{"rows", Dtype::i32, {n}}, tokens.data()});
        write_safetensors(file, tensors);
    }

    void write_stats(const std::filesystem::path& folder) const {
        std::filesystem::create_directories(folder);
        std::vector<Matrix> norms, means;
        std::vector<TensorData> norm_tensors, mean_tensors;
        norms.reserve(sites.size());
        means.reserve(sites.size());
        for (const SketchSite& site : sites) {
            Matrix& norm = norms.emplace_back(n_tokens(), 1);
            MatrixD sums = MatrixD::Zero(longest(), site.width());
            VectorD counts = VectorD::Zero(longest());
            for (std::int64_t token = 0; token < n_tokens(); ++token) {
                const VectorD row = vector(site.name, token).cast<double>();
                norm(token, 0) = static_cast<float>(row.norm());
                sums.row(place(token).first) += row;
                counts[place(token).first] += 1;
            }
            Matrix& mean = means.emplace_back((counts.cwiseInverse().asDiagonal() * sums).cast<float>());
            norm_tensors.push_back({{site.name, Dtype::f32, {n_tokens()}}, norm.data()});
            mean_tensors.push_back({{site.name, Dtype::f32, {longest(), site.width()}}, mean.data()});
        }
        write_safetensors(folder / "norms.safetensors", norm_tensors);
        write_safetensors(folder / "means.safetensors", mean_tensors);
    }
};

}  // namespace tomograph::test
