#include "tomograph/findings/sinks.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "tomograph/base/text.h"
#include "tomograph/findings/finding.h"
#include "tomograph/findings/sample.h"
#include "tomograph/statistics/concentration.h"
#include "tomograph/statistics/distributions.h"

namespace tomograph {
namespace {

constexpr std::size_t kListedSinks = 100;

/// Norm of each token at a site; NaN where it cannot be had.
std::vector<double> token_norms(const Run& run, const Site& site) {
    constexpr std::int64_t kBlock = 2048;
    std::vector<double> result(static_cast<std::size_t>(run.n_tokens()), kNoNumber);
    if (run.has_stats()) {
        const auto norms = run.norms(site);
        std::copy(norms.begin(), norms.end(), result.begin());
        return result;
    }
    if (!run.has_vectors(site)) return result;
    Matrix rows(kBlock, run.site(site).width());
    for (std::int64_t begin = 0; begin < run.n_rows(); begin += kBlock) {
        const std::int64_t n = std::min(kBlock, run.n_rows() - begin);
        run.read_rows(site, begin, begin + n, rows.data());
        for (std::int64_t i = 0; i < n; ++i)
            result[static_cast<std::size_t>(run.rows()[static_cast<std::size_t>(begin + i)])] =
                rows.row(i).cast<double>().norm();
    }
    run.release();
    return result;
}

/// A token's norm at a site of the stream, over the site's median.
using ShowRatio = std::function<void(const Site& site, std::size_t token, double ratio)>;

/// Of each site of the stream, every token whose ratio is a number.
void for_each_ratio(const Run& run, const ShowRatio& show) {
    for (const SiteShape& shape : run.sites()) {
        if (!is_stream(shape.site.component)) continue;
        const std::vector<double> norms = token_norms(run, shape.site);
        const double middle = median(norms);
        if (!(middle > 0)) continue;
        for (std::size_t t = 0; t < norms.size(); ++t) {
            const double ratio = norms[t] / middle;
            if (std::isfinite(ratio)) show(shape.site, t, ratio);
        }
    }
}

/// Of each site of the stream, every token that is a sink there.
void for_each_sink(const Run& run, const ShowRatio& show) {
    for_each_ratio(run, [&](const Site& site, std::size_t token, double ratio) {
        if (ratio > kSinkRatio) show(site, token, ratio);
    });
}

/// Whether what stands first makes a sink anywhere, or only there.
Json start_token(const Run& run, const std::vector<Sink>& sinks) {
    const TokenTable& tokens = run.tokens();
    std::int32_t start = -1;
    for (std::size_t t = 0; t < tokens.token_id.size(); ++t) {
        if (tokens.position[t] != 0) continue;
        if (start >= 0 && tokens.token_id[t] != start) return nullptr;
        start = tokens.token_id[t];
    }
    std::int64_t elsewhere = 0, are_sinks = 0;
    for (std::size_t t = 0; t < tokens.token_id.size(); ++t) {
        if (tokens.position[t] == 0 || tokens.token_id[t] != start) continue;
        ++elsewhere;
        are_sinks += std::ranges::binary_search(sinks, static_cast<std::int64_t>(t), {}, &Sink::token);
    }
    return {{"token_id", start}, {"elsewhere", elsewhere}, {"sinks_elsewhere", are_sinks}};
}

Json counts_json(const std::map<int, std::int64_t>& counts) {
    Json list = Json::array();
    for (const auto& [layer, n] : counts) list.push_back({{"layer", layer}, {"sinks", n}});
    return list;
}

/// The site where most sinks stand out, and the coordinates that carry their squared norm there.
Json coordinates_of(const Run& run, const std::vector<Sink>& sinks) {
    std::map<Site, std::int64_t> where;
    for (const Sink& sink : sinks) {
        if (run.has_vectors(sink.site)) ++where[sink.site];
    }
    if (where.empty()) return nullptr;
    const Site site = std::max_element(where.begin(), where.end(), [](const auto& a, const auto& b) {
                          return a.second < b.second;
                      })->first;
    std::vector<std::int64_t> rows;
    for (std::int64_t row = 0; row < run.n_rows(); ++row) {
        const std::int64_t token = run.rows()[static_cast<std::size_t>(row)];
        const auto found = std::ranges::lower_bound(sinks, token, {}, &Sink::token);
        if (found != sinks.end() && found->token == token) rows.push_back(row);
    }
    if (rows.empty()) return nullptr;
    VectorD squares = VectorD::Zero(run.site(site).width());
    for (const std::int64_t row : rows) {
        const Matrix values = read_sample(run, site, {row});
        if (values.allFinite()) squares += values.row(0).cast<double>().cwiseAbs2().transpose();
    }
    const MassiveCoordinates massive = massive_coordinates(squares);
    return {{"site", site.name()}, {"coordinates", massive.coordinates}, {"shares", numbers(massive.shares)}};
}

/// The largest norm of each sequence's token at a position, over the median of its site.
std::vector<double> largest_ratios(const Run& run, std::int32_t position, std::int64_t most_sequences) {
    std::map<std::int32_t, double> largest;
    for_each_ratio(run, [&](const Site&, std::size_t t, double ratio) {
        if (run.tokens().position[t] != position || run.tokens().sequence[t] >= most_sequences) return;
        double& of = largest[run.tokens().sequence[t]];
        of = std::max(of, ratio);
    });
    std::vector<double> ratios;
    for (const auto& [sequence, ratio] : largest) ratios.push_back(ratio);
    return ratios;
}

}  // namespace

std::vector<SinkCount> count_sinks(const Run& run) {
    std::vector<SinkCount> counts;
    for (const SiteShape& shape : run.sites()) {
        if (is_stream(shape.site.component)) counts.push_back({shape.site, 0, 0});
    }
    for_each_sink(run, [&](const Site& site, std::size_t token, double) {
        SinkCount& count = *std::ranges::find(counts, site, &SinkCount::site);
        ++(run.tokens().position[token] == 0 ? count.first : count.elsewhere);
    });
    return counts;
}

std::vector<Sink> find_sinks(const Run& run) {
    std::map<std::int64_t, Sink> found;
    for_each_sink(run, [&](const Site& site, std::size_t t, double ratio) {
        const auto token = static_cast<std::int64_t>(t);
        const auto [entry, added] = found.try_emplace(token);
        Sink& sink = entry->second;
        if (added) sink = {token, site, ratio, site.layer, site.layer};
        if (ratio > sink.ratio) sink.ratio = ratio, sink.site = site;
        sink.born = std::min(sink.born, site.layer);
        sink.ends = std::max(sink.ends, site.layer);
    });
    std::vector<Sink> sinks;
    for (auto& [token, sink] : found) sinks.push_back(sink);
    return sinks;
}

Json describe_sinks(const Run& run, const std::vector<Sink>& sinks) {
    const TokenTable& tokens = run.tokens();
    const auto first = std::count(tokens.position.begin(), tokens.position.end(), 0);
    std::int64_t at_first = 0;
    std::map<int, std::int64_t> born, ends;
    for (const Sink& sink : sinks) {
        at_first += tokens.position[static_cast<std::size_t>(sink.token)] == 0;
        ++born[sink.born];
        ++ends[sink.ends];
    }
    const auto share = [](std::int64_t part, std::int64_t whole) {
        return number(whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : kNoNumber);
    };
    std::vector<const Sink*> strongest;
    for (const Sink& sink : sinks) strongest.push_back(&sink);
    std::stable_sort(strongest.begin(), strongest.end(),
                     [](const Sink* a, const Sink* b) { return a->ratio > b->ratio; });
    if (strongest.size() > kListedSinks) strongest.resize(kListedSinks);
    Json list = Json::array();
    for (const Sink* sink : strongest) {
        const auto t = static_cast<std::size_t>(sink->token);
        list.push_back({{"sequence", tokens.sequence[t]},
                        {"position", tokens.position[t]},
                        {"token", piece_to_json(run.pieces()[t])},
                        {"site", sink->site.name()},
                        {"ratio", number(sink->ratio)},
                        {"born", sink->born},
                        {"ends", sink->ends}});
    }
    Json by_site = Json::array();
    for (const SinkCount& count : count_sinks(run))
        by_site.push_back({{"site", count.site.name()},
                           {"at_first_position", count.first},
                           {"elsewhere", count.elsewhere}});
    return {{"ratio", kSinkRatio},
            {"sinks", sinks.size()},
            {"tokens", run.n_tokens()},
            {"at_first_position", at_first},
            {"precision", share(at_first, first)},
            {"recall", share(at_first, static_cast<std::int64_t>(sinks.size()))},
            {"born", counts_json(born)},
            {"ends", counts_json(ends)},
            {"by_site", by_site},
            {"start_token", start_token(run, sinks)},
            {"coordinates", coordinates_of(run, sinks)},
            {"list", list}};
}

Json describe_planted(const Run& planted, const Run& text) {
    const Json& what = planted.json().at("prompts").at("planted");
    const auto position = what.at("position").get<std::int32_t>();
    const auto count = [](const std::vector<double>& ratios) {
        return std::ranges::count_if(ratios, [](double ratio) { return ratio > kSinkRatio; });
    };
    const std::vector<double> ratios = largest_ratios(planted, position, planted.n_sequences());
    const auto n = std::ssize(ratios), sinks = count(ratios);
    const Interval interval = binomial_interval(sinks, n);
    const std::vector<double> before = largest_ratios(text, position, planted.n_sequences());
    Json json = {{"token_id", what.at("token")},
                 {"position", position},
                 {"sequences", n},
                 {"sinks", sinks},
                 {"share", number(n > 0 ? static_cast<double>(sinks) / static_cast<double>(n) : kNoNumber)},
                 {"interval", {number(interval.lo), number(interval.hi)}},
                 {"ratio", number(median(ratios))},
                 {"before", nullptr}};
    if (!before.empty()) json["before"] = {{"sinks", count(before)}, {"ratio", number(median(before))}};
    return json;
}

/// One line; empty where nothing was planted.
static std::string planted_text(const Json& census) {
    const auto planted = census.find("planted");
    if (planted == census.end() || !planted->at("share").is_number()) return "";
    std::string text = fmt::format(
        "\na start token planted at position {} is a sink in {} of {} sequences ({:.0f} to {:.0f} %), {:.3g} "
        "times the\nmedian norm",
        planted->at("position").get<int>(), planted->at("sinks").get<int>(),
        planted->at("sequences").get<int>(), 100 * planted->at("interval")[0].get<double>(),
        100 * planted->at("interval")[1].get<double>(), planted->at("ratio").get<double>());
    if (const Json& before = planted->at("before"); before.is_object())
        text += fmt::format("; of the tokens that stood there {}, {:.3g} times",
                            before.at("sinks").get<int>(), before.at("ratio").get<double>());
    return text + "\n";
}

std::string sinks_text(const Json& census) {
    const auto n = census.at("sinks").get<std::int64_t>();
    if (n == 0) return planted_text(census);
    const auto layers = [](const Json& counts) {
        const Json* most = &counts.front();
        for (const Json& entry : counts) {
            if (entry.at("sinks").get<std::int64_t>() > most->at("sinks").get<std::int64_t>()) most = &entry;
        }
        return most->at("layer").get<int>();
    };
    std::string text = fmt::format(
        "\n{} of {} tokens are sinks (norm above {} times the median), left out of what compares rows: {} of "
        "them "
        "at\nposition 0, where {:.3g} % of the tokens are; most are born in layer {} and end in layer {}",
        n, census.at("tokens").get<std::int64_t>(), kSinkRatio,
        census.at("at_first_position").get<std::int64_t>(),
        100 * (census.at("precision").is_number() ? census.at("precision").get<double>() : 0.0),
        layers(census.at("born")), layers(census.at("ends")));
    const Json& coordinates = census.at("coordinates");
    if (coordinates.is_object() && !coordinates.at("coordinates").empty()) {
        std::vector<int> first;
        for (const Json& coordinate : coordinates.at("coordinates")) {
            if (first.size() < 8) first.push_back(coordinate.get<int>());
        }
        text += fmt::format(", in coordinate{} {} of {}", first.size() == 1 ? "" : "s",
                            fmt::join(first, ", "), coordinates.at("site").get<std::string>());
    }
    const Json& start = census.at("start_token");
    if (start.is_object() && start.at("elsewhere").get<std::int64_t>() > 0)
        text += fmt::format("; of {} start tokens elsewhere {} are sinks",
                            start.at("elsewhere").get<std::int64_t>(),
                            start.at("sinks_elsewhere").get<std::int64_t>());
    return text + "\n" + planted_text(census);
}

}  // namespace tomograph
