#pragma once
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "tomograph/base/json.h"
#include "tomograph/base/matrix.h"
#include "tomograph/base/random.h"
#include "tomograph/store/run.h"
#include "tomograph/store/run_writer.h"

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
    std::vector<std::int32_t> token_ids = {};     ///< a token; empty: 100, 101, 102 …
    std::vector<LabelColumn> columns = {};
    std::vector<std::vector<std::int32_t>> entries = {};  ///< of each column
    std::vector<std::string> scores = {};  ///< hold 0, 1, 2 … of each token, and of the next 100 …
    std::vector<std::string> pieces = {};  ///< a token; empty: "a", "b", "c" …
    std::vector<std::int32_t> rows = {};   ///< tokens whose vectors are kept; empty: all
    std::int32_t last_position = -1;       ///< of the last token; -1: as its place says
    std::int64_t shard_tokens = 4;
    std::size_t whole_shards = std::numeric_limits<std::size_t>::max();  ///< an interrupted run has fewer
    bool vectors = true;
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
        std::int64_t longest = last_position + 1;
        for (const std::int64_t length : lengths) longest = std::max(longest, length);
        return longest;
    }
    /// Position and sequence of a token.
    std::pair<std::int32_t, std::int32_t> place(std::int64_t token) const {
        const bool far = last_position >= 0 && token == n_tokens() - 1;
        std::int32_t sequence = 0;
        for (const std::int64_t length : lengths) {
            if (token < length) return {far ? last_position : static_cast<std::int32_t>(token), sequence};
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
        RunPlan plan;
        plan.description["model"] = {{"name", "sketch"}, {"d_model", kDModel}, {"n_layers", n_layers}};
        plan.description["prompts"] = {
            {"kind", "text"}, {"sequences", lengths.size()}, {"length", longest()}};
        for (const SketchSite& site : sites) {
            plan.sites.push_back({parse_site(site.name).value(), site.shape});
            plan.stored.push_back(vectors && site.stored ? std::optional(Dtype::f32) : std::nullopt);
        }
        plan.labels = labels;
        const std::int64_t n = n_tokens();
        for (std::int64_t token = 0; token < n; ++token) {
            const auto [position, sequence] = place(token);
            plan.tokens.token_id.push_back(token_ids.empty() ? static_cast<std::int32_t>(100 + token)
                                                             : token_ids.at(static_cast<std::size_t>(token)));
            plan.tokens.position.push_back(position);
            plan.tokens.sequence.push_back(sequence);
        }
        plan.tokens.label = token_labels;
        plan.tokens.label.resize(static_cast<std::size_t>(n), -1);
        plan.columns = columns;
        plan.tokens.further = entries;
        plan.scores = scores;
        plan.kept.assign(static_cast<std::size_t>(n), 0);
        for (const std::int32_t token : kept()) plan.kept[static_cast<std::size_t>(token)] = 1;
        plan.piece = [&](std::int64_t token) {
            return pieces.empty() ? std::string(1, static_cast<char>('a' + token % 26))
                                  : pieces.at(static_cast<std::size_t>(token));
        };
        for (std::int64_t end = shard_tokens; end < n + shard_tokens; end += shard_tokens)
            plan.shard_ends.push_back(std::min(end, n));

        RunWriter writer(folder, std::move(plan), {.durable = false});
        for (std::size_t shard = 0; shard < std::min(whole_shards, writer.n_shards()); ++shard) {
            writer.begin_shard(shard);
            const auto [begin, end] = writer.shard_tokens(shard);
            for (std::size_t site = 0; site < sites.size(); ++site) {
                Matrix values(end - begin, sites[site].width());
                for (std::int64_t token = begin; token < end; ++token)
                    values.row(token - begin) = vector(sites[site].name, token);
                writer.take(site, begin, end - begin, values.data());
            }
            for (std::size_t score = 0; score < scores.size(); ++score) {
                std::vector<float> values;
                for (std::int64_t token = begin; token < end; ++token)
                    values.push_back(static_cast<float>(100 * static_cast<std::int64_t>(score) + token));
                writer.take_scores(score, begin, end - begin, values.data());
            }
            writer.end_shard();
        }
        if (whole_shards >= writer.n_shards()) writer.finish();
        if (!edit) return;
        Json run = read_json(folder / "run.json");
        edit(run);
        write_json(folder / "run.json", run);
    }
};

}  // namespace tomograph::test
