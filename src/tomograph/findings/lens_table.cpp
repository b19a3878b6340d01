#include "tomograph/findings/lens_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tomograph/base/counted.h"
#include "tomograph/base/error.h"
#include "tomograph/base/json_reason.h"
#include "tomograph/base/version.h"
#include "tomograph/findings/finding.h"

namespace tomograph {
namespace {

std::filesystem::path path_of(const Run& run) {
    return run.path() / "measures" / "lens.json";
}

Json numbers_json(const LensNumbers& of) {
    return {{"kl", numbers(of.kl)}, {"log_rank", numbers(of.log_rank)}, {"agrees", numbers(of.agrees)}};
}

std::vector<double> doubles(const Json& json) {
    std::vector<double> values;
    for (const Json& value : json) values.push_back(value.is_null() ? kNoNumber : value.get<double>());
    return values;
}

LensNumbers numbers_of(const Json& json, std::size_t n) {
    LensNumbers of{doubles(json.at("kl")), doubles(json.at("log_rank")), doubles(json.at("agrees"))};
    if (of.kl.size() != n || of.log_rank.size() != n || of.agrees.size() != n)
        throw Error("a lens's numbers do not fit its sequences", "", "make it again: tomograph lens RUN");
    return of;
}

Json depth_json(const AnswerDepth& depth) {
    const auto layer = [](int value) { return value < 0 ? Json(nullptr) : Json(value); };
    return {{"by_kl", layer(depth.by_kl)}, {"by_top", layer(depth.by_top)}};
}

/// The lines that both charts have, with what they take of a reading.
std::vector<ChartLine> lines_of(const LensTable& table, const std::vector<LensTable>& twins,
                                std::vector<double> LensNumbers::*which, bool geometric) {
    const auto shown = [&](const LensTable& of, const std::vector<double>& values,
                           std::span<const double> weights = {}) {
        const double mean = lens_mean(of, values, weights);
        return geometric ? std::exp(mean) : mean;
    };
    std::vector<ChartLine> lines;
    const auto add = [&](const LensTable& of, const std::string& name, Component component, LensKind lens,
                         bool shifted, bool control) {
        ChartLine line{.name = name,
                       .layer = {},
                       .value = {},
                       .low = {},
                       .high = {},
                       .component = std::nullopt,
                       .control = control};
        for (const LensSeries& series : of.series) {
            if (series.site.component != component || series.lens != lens) continue;
            const LensNumbers& from = shifted ? series.shifted : series.own;
            line.layer.push_back(series.site.layer);
            line.value.push_back(shown(of, from.*which));
            if (control) continue;
            const auto interval =
                bootstrap(static_cast<int>(of.sequences.size()), {.least = geometric ? 1.0 : 0.0},
                          [&](std::span<const double> weights) { return shown(of, from.*which, weights); });
            if (!interval) continue;
            line.low.push_back(interval->lo);
            line.high.push_back(interval->hi);
        }
        if (lens == LensKind::ridge && !control) line.component = component;
        if (line.low.size() != line.value.size()) line.low.clear(), line.high.clear();
        if (!line.layer.empty()) lines.push_back(std::move(line));
    };
    add(table, "stream, ridge lens", Component::resid_post, LensKind::ridge, false, false);
    add(table, "attention output, ridge lens", Component::attn_out, LensKind::ridge, false, false);
    add(table, "MLP output, ridge lens", Component::mlp_out, LensKind::ridge, false, false);
    // Its color is by its place, the fourth, and no component's.
    add(table, "stream, logit lens", Component::resid_post, LensKind::logit, false, false);
    add(table, "shifted tokens", Component::resid_post, LensKind::ridge, true, true);
    const double unigram = shown(table, table.unigram.*which);
    lines.push_back({.name = "mean answer",
                     .layer = {0, static_cast<double>(table.n_layers - 1)},
                     .value = {unigram, unigram},
                     .low = {},
                     .high = {},
                     .component = std::nullopt,
                     .control = true});
    for (const LensTable& twin : twins)
        add(twin, "untrained twin, ridge lens", Component::resid_post, LensKind::ridge, false, true);
    return lines;
}

}  // namespace

const char* lens_name(LensKind lens) {
    return lens == LensKind::logit ? "logit" : "ridge";
}

const LensSeries* LensTable::find(const Site& site, LensKind lens) const {
    const auto found = std::ranges::find_if(
        series, [&](const LensSeries& one) { return one.site == site && one.lens == lens; });
    return found == series.end() ? nullptr : &*found;
}

std::int64_t LensTable::n_rows() const {
    return std::accumulate(rows.begin(), rows.end(), std::int64_t{0});
}

Json lens_json(const LensTable& table) {
    Json json = {{"program", {{"name", "tomograph"}, {"version", kVersion}}},
                 {"tokens", table.n_tokens},
                 {"layers", table.n_layers},
                 {"sequences", table.sequences},
                 {"rows", table.rows},
                 {"fitted_on", table.fitted_on},
                 {"check",
                  {{"tokens", table.check.tokens},
                   {"kl", number(table.check.kl)},
                   {"tolerance", number(table.check.tolerance)},
                   {"unchecked", table.check.unchecked}}},
                 {"depth", Json::object()},
                 {"final", numbers_json(table.final)},
                 {"unigram", numbers_json(table.unigram)},
                 {"series", Json::array()}};
    for (const LensKind lens : {LensKind::logit, LensKind::ridge})
        json["depth"][lens_name(lens)] = depth_json(answer_depth(table, lens));
    for (const LensSeries& one : table.series) {
        Json series = {{"site", one.site.name()},
                       {"lens", lens_name(one.lens)},
                       {"kl", number(lens_mean(table, one.own.kl))},
                       {"rank", number(std::exp(lens_mean(table, one.own.log_rank)))},
                       {"agrees", number(lens_mean(table, one.own.agrees))},
                       {"own", numbers_json(one.own)},
                       {"shifted", numbers_json(one.shifted)}};
        if (one.lens == LensKind::ridge) {
            series["penalty"] = number(one.penalty);
            series["explained"] = number(one.explained);
        }
        json["series"].push_back(std::move(series));
    }
    return json;
}

LensTable lens_from_json(const Json& json) {
    LensTable table;
    table.n_tokens = whole_number<std::int64_t>(json.at("tokens"), "tokens");
    table.n_layers = whole_number<int>(json.at("layers"), "layers");
    for (const Json& one : json.at("sequences"))
        table.sequences.push_back(whole_number<std::int32_t>(one, "sequences"));
    for (const Json& one : json.at("rows")) table.rows.push_back(whole_number<std::int64_t>(one, "rows"));
    table.fitted_on = whole_number<std::int64_t>(json.at("fitted_on"), "fitted_on");
    const std::size_t n = table.sequences.size();
    if (table.rows.size() != n || n == 0 || table.n_layers < 1)
        throw Error("a lens's numbers do not fit its sequences", "", "make it again: tomograph lens RUN");
    const Json& check = json.at("check");
    table.check = {whole_number<std::int64_t>(check.at("tokens"), "tokens"),
                   doubles(Json::array({check.at("kl")})).front(),
                   doubles(Json::array({check.at("tolerance")})).front(),
                   check.at("unchecked").get<std::string>()};
    table.final = numbers_of(json.at("final"), n);
    table.unigram = numbers_of(json.at("unigram"), n);
    for (const Json& one : json.at("series")) {
        const auto site = parse_site(one.at("site").get<std::string>());
        const auto lens = one.at("lens").get<std::string>();
        if (!site || (lens != "logit" && lens != "ridge"))
            throw Error("a lens names a site that there is not", "", "make it again: tomograph lens RUN");
        LensSeries series{.site = *site,
                          .lens = lens == "ridge" ? LensKind::ridge : LensKind::logit,
                          .own = numbers_of(one.at("own"), n),
                          .shifted = numbers_of(one.at("shifted"), n)};
        if (series.lens == LensKind::ridge) {
            series.penalty = doubles(Json::array({one.at("penalty")})).front();
            series.explained = doubles(Json::array({one.at("explained")})).front();
        }
        table.series.push_back(std::move(series));
    }
    return table;
}

void save_lens(const Run& run, const LensTable& table) {
    std::error_code error;
    std::filesystem::create_directories(path_of(run).parent_path(), error);
    if (error) throw Error("cannot create " + path_of(run).parent_path().string(), error.message(), "");
    write_json(path_of(run), lens_json(table));
}

std::optional<LensTable> load_lens(const Run& run) {
    const auto path = path_of(run);
    if (!std::filesystem::exists(path)) return std::nullopt;
    try {
        LensTable table = lens_from_json(read_json(path));
        if (table.n_tokens != run.n_tokens() || table.n_layers != run.n_layers()) return std::nullopt;
        return table;
    } catch (const Json::exception& e) {
        throw Error(path.string() + " is no lens's table", json_reason(e),
                    "make it again: tomograph lens RUN");
    }
}

double lens_mean(const LensTable& table, const std::vector<double>& by_sequence,
                 std::span<const double> weights) {
    double sum = 0, count = 0;
    for (std::size_t s = 0; s < by_sequence.size(); ++s) {
        const double weight = static_cast<double>(table.rows[s]) * (weights.empty() ? 1 : weights[s]);
        if (weight == 0) continue;
        sum += weight * by_sequence[s];
        count += weight;
    }
    return count > 0 ? sum / count : kNoNumber;
}

AnswerDepth answer_depth(const LensTable& table, LensKind lens, bool shifted,
                         std::span<const double> weights) {
    AnswerDepth depth;
    const double half = 0.5 * lens_mean(table, table.unigram.kl, weights);
    for (const LensSeries& series : table.series) {
        if (series.site.component != Component::resid_post || series.lens != lens) continue;
        const LensNumbers& numbers = shifted ? series.shifted : series.own;
        const int layer = series.site.layer;
        if (depth.by_kl < 0 && lens_mean(table, numbers.kl, weights) < half) depth.by_kl = layer;
        if (!(lens_mean(table, numbers.agrees, weights) >= 0.5))
            depth.by_top = -1;
        else if (depth.by_top < 0)
            depth.by_top = layer;
    }
    return depth;
}

double depth_share(int layer, int n_layers) {
    return layer < 0 ? 1 : static_cast<double>(layer + 1) / n_layers;
}

std::vector<Chart> lens_charts(const LensTable& table, const std::vector<LensTable>& twins) {
    const auto chart = [&](const char* name, const char* title, const char* label,
                           std::vector<double> LensNumbers::*which, bool geometric) {
        return Chart{
            .name = name,
            .title = title,
            .subtitle = fmt::format("{} of {}", counted(table.n_rows(), "token"),
                                    counted(table.sequences.size(), "sequence")),
            .caption =
                "What the stream after each block would answer through the model's own last norm and "
                "unembedding (logit lens) and through an affine map fitted on other sequences (ridge lens); "
                "what attention and MLP outputs say by themselves; against other tokens' answers and the "
                "mean "
                "answer",
            .shape = LayerChart{.y_label = label,
                                .lines = lines_of(table, twins, which, geometric),
                                .log_y = geometric,
                                .drawn_controls = {"shifted tokens", "mean answer", "twins"},
                                .levels = {}},
            .findings = {}};
    };
    return {
        chart("lens-kl-by-layer", "Divergence from the final answer", "KL (nats)", &LensNumbers::kl, false),
        chart("lens-rank-by-layer", "Rank of the token that came", "rank, geometric mean",
              &LensNumbers::log_rank, true)};
}

std::string lens_text(const LensTable& table, const std::vector<LensTable>& twins) {
    std::string text = fmt::format("{:<24}{:>9}{:>10}{:>8}   {:>9}{:>10}{:>8}{:>11}\n", "", "logit", "", "",
                                   "ridge", "", "", "");
    text += fmt::format("{:<24}{:>9}{:>10}{:>8}   {:>9}{:>10}{:>8}{:>11}\n", "site", "KL", "rank", "top-1",
                        "KL", "rank", "top-1", "shifted KL");
    const auto cells = [&](const LensNumbers& of) {
        return fmt::format("{:>9.3f}{:>10.1f}{:>7.1f}%", lens_mean(table, of.kl),
                           std::exp(lens_mean(table, of.log_rank)), 100 * lens_mean(table, of.agrees));
    };
    for (const LensSeries& series : table.series) {
        if (series.lens != LensKind::logit) continue;
        text += fmt::format("{:<24}{}", series.site.name(), cells(series.own));
        if (const LensSeries* ridge = table.find(series.site, LensKind::ridge))
            text += fmt::format("   {}{:>11.3f}", cells(ridge->own), lens_mean(table, ridge->shifted.kl));
        text += "\n";
    }
    text += fmt::format("{:<24}{}\n", "mean answer", cells(table.unigram));
    text += fmt::format("{:<24}{}\n\n", "the model", cells(table.final));
    const auto depth_text = [](const LensTable& of, LensKind lens) {
        const AnswerDepth depth = answer_depth(of, lens);
        const auto layer = [](int l) { return l < 0 ? std::string("none") : std::to_string(l); };
        return fmt::format("{} by divergence, {} by the top token", layer(depth.by_kl), layer(depth.by_top));
    };
    text += fmt::format("The answer is there from layer (of 0 to {}):\n", table.n_layers - 1);
    text += fmt::format("  logit lens  {}\n", depth_text(table, LensKind::logit));
    text += fmt::format("  ridge lens  {}\n", depth_text(table, LensKind::ridge));
    for (const LensTable& twin : twins)
        text += fmt::format("  untrained twin, ridge lens  {}\n", depth_text(twin, LensKind::ridge));
    text += fmt::format("{} of {} were read; maps were fitted on {} of others\n",
                        counted(table.n_rows(), "token"), counted(table.sequences.size(), "sequence"),
                        counted(table.fitted_on, "token"));
    text += table.check.unchecked.empty()
                ? fmt::format(
                      "check: the last layer's reading is the model's own answer to {:.2g} nats over {} "
                      "tokens (at most {:.2g} is asked for)\n",
                      table.check.kl, table.check.tokens, table.check.tolerance)
                : fmt::format("unchecked: {}\n", table.check.unchecked);
    return text;
}

}  // namespace tomograph
