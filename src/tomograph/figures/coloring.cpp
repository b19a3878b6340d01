#include "tomograph/figures/coloring.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <string_view>
#include <utility>

#include "tomograph/base/counted.h"
#include "tomograph/base/error.h"
#include "tomograph/base/text.h"
#include "tomograph/select/experts.h"

namespace tomograph {
namespace {

/// Numbers of each token, and what gives them to a run.
constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kMadeLater{
    {{"outlier", "tomograph measure RUN"},
     {"lens_depth", "tomograph lens RUN --model MODEL"},
     {"ridge_depth", "tomograph lens RUN --model MODEL"},
     {"logprob", "tomograph capture --scores"},
     {"entropy", "tomograph capture --scores"},
     {"rank", "tomograph capture --scores"},
     {"expert", "tomograph capture --components router,... of a mixture"}}};

constexpr std::size_t kTokenColors = 10;
constexpr Color kRest = 0xC4C4C4;

Values values(const std::vector<std::int32_t>& numbers, const char* label) {
    Values result;
    result.label = label;
    result.whole = true;
    for (const std::int32_t number : numbers)
        result.of_point.push_back(number < 0 ? std::numeric_limits<float>::quiet_NaN()
                                             : static_cast<float>(number));
    if (std::all_of(numbers.begin(), numbers.end(), [](std::int32_t n) { return n < 0; })) {
        throw Error(fmt::format("no row of the projection has a {}", label), "it was averaged away",
                    "choose another --color, or project without that mean");
    }
    return result;
}

Categories components(const std::vector<Component>& of_row) {
    Categories result;
    std::map<Component, std::int32_t> index;
    for (const Component component : of_row) index.emplace(component, 0);
    for (auto& [component, number] : index) {
        number = static_cast<std::int32_t>(result.names.size());
        result.names.emplace_back(component_name(component));
        result.colors.push_back(component_color(component_name(component)));
    }
    for (const Component component : of_row) result.of_point.push_back(index[component]);
    return result;
}

Categories tokens(const Run& run, const RowLabels& labels) {
    std::map<std::string, std::int64_t> counts;
    const auto piece = [&](std::int32_t token) { return run.pieces()[static_cast<std::size_t>(token)]; };
    for (const std::int32_t token : labels.token) {
        if (token >= 0) ++counts[piece(token)];
    }
    if (counts.empty())
        throw Error("no row of the projection is a single token", "they are averages",
                    "choose another --color");
    std::vector<std::pair<std::string, std::int64_t>> frequent(counts.begin(), counts.end());
    std::stable_sort(frequent.begin(), frequent.end(),
                     [](const auto& a, const auto& b) { return a.second > b.second; });
    if (frequent.size() > kTokenColors) frequent.resize(kTokenColors);
    Categories result;
    std::map<std::string, std::int32_t> index;
    for (const auto& [name, count] : frequent) {
        index[name] = static_cast<std::int32_t>(result.names.size());
        result.colors.push_back(category_color(static_cast<int>(result.names.size())));
        result.names.push_back(fmt::format("'{}'", printable(name)));
    }
    const auto rest = static_cast<std::int32_t>(result.names.size());
    result.names.emplace_back("other");
    result.colors.push_back(kRest);
    for (const std::int32_t token : labels.token) {
        const auto known = token < 0 ? index.end() : index.find(piece(token));
        result.of_point.push_back(known == index.end() ? rest : known->second);
    }
    return result;
}

/// Indices into names; below 0: none, in grey.
Categories words(const std::vector<std::string>& names, const std::vector<std::int32_t>& of_row) {
    Categories result;
    result.names = names;
    for (std::size_t i = 0; i < result.names.size(); ++i)
        result.colors.push_back(category_color(static_cast<int>(i)));
    const auto none = static_cast<std::int32_t>(result.names.size());
    bool unlabelled = false;
    for (const std::int32_t label : of_row) {
        result.of_point.push_back(label < 0 ? none : label);
        unlabelled = unlabelled || label < 0;
    }
    if (unlabelled) {
        result.names.emplace_back("none");
        result.colors.push_back(kRest);
    }
    return result;
}

Coloring experts(const std::vector<std::int32_t>& of_row) {
    constexpr std::int32_t kNamed = 16;  // more cannot be told apart by colour
    const std::int32_t n = *std::ranges::max_element(of_row) + 1;
    if (n == 0 || n > kNamed) return values(of_row, "expert");
    std::vector<std::string> names;
    for (std::int32_t expert = 0; expert < n; ++expert) names.push_back(fmt::format("expert {}", expert));
    return words(names, of_row);
}

Categories labels(const Run& run, const RowLabels& of_row) {
    if (run.labels().empty())
        throw Error(run.path().string() + " has no labels", "",
                    "labels come from --jsonl segments or from several --text files");
    return words(run.labels(), of_row.label);
}

/// What `of_token` holds of the tokens that the rows are; `none` for averages.
template <class T>
std::vector<T> of_rows(const std::vector<T>& of_token, const RowLabels& rows, T none) {
    std::vector<T> result;
    for (const std::int32_t token : rows.token)
        result.push_back(token < 0 ? none : of_token[static_cast<std::size_t>(token)]);
    return result;
}

}  // namespace

Coloring color_rows(const Run& run, const Projection& projection, ColorBy by) {
    const RowLabels& rows = projection.labels;
    switch (by) {
        case ColorBy::component:
            return components(rows.component);
        case ColorBy::layer:
            return values(rows.layer, rows.renumbered() ? "layer, renumbered" : "layer");
        case ColorBy::position:
            return values(rows.position, "position");
        case ColorBy::token:
            return tokens(run, rows);
        case ColorBy::label:
            return labels(run, rows);
        case ColorBy::norm:
            return Values{.of_point = rows.norm, .label = "norm", .log = true};
    }
    return components(rows.component);
}

Coloring color_rows(const Run& run, const Projection& projection, const std::string& by) {
    static const std::vector<std::pair<std::string, ColorBy>> kWords{
        {"component", ColorBy::component}, {"layer", ColorBy::layer}, {"position", ColorBy::position},
        {"token", ColorBy::token},         {"label", ColorBy::label}, {"norm", ColorBy::norm}};
    std::string known;
    for (const auto& [word, color] : kWords) {
        if (word == by) return color_rows(run, projection, color);
        known += (known.empty() ? "" : ", ") + word;
    }
    const RowLabels& rows = projection.labels;
    for (std::size_t c = 0; c < run.columns().size(); ++c) {
        const LabelColumn& column = run.columns()[c];
        known += ", " + column.name;
        if (column.name != by) continue;
        const auto of_row = of_rows(run.tokens().further[c], rows, -1);
        return column.counts() ? Coloring(values(of_row, by.c_str())) : words(column.words, of_row);
    }
    for (const std::string& score : run.scores()) {
        known += ", " + score;
        if (score != by) continue;
        const auto of_row = of_rows(run.score(score), rows, std::numeric_limits<float>::quiet_NaN());
        return Values{.of_point = of_row, .label = score, .log = score == "rank"};
    }
    const bool routed = keeps_routers(run);
    if (routed) known += ", expert";
    if (routed && by == "expert") return experts(preferred_experts(run, rows));
    for (const auto& [name, command] : kMadeLater) {
        if (name == by)
            throw Error("cannot colour by '" + by + "'", "the run does not hold it yet",
                        fmt::format("make it with: {}, or use {}", command, known));
    }
    throw Error("cannot colour by '" + by + "'", "", fmt::format("use {}", known));
}

std::string axis_label(const Projection& projection, int axis) {
    if (projection.method() != "pca") return fmt::format("UMAP {}", axis + 1);
    const Json ratio = projection.info.value("explained_variance_ratio", Json::array());
    const auto i = static_cast<std::size_t>(axis);
    return component_label(axis, i < ratio.size() ? ratio[i].get<double>() : -1.0);
}

std::string selection_text(const Run& run, const Json& selection) {
    std::vector<std::string> parts;
    const auto range = [&](const char* key, const char* what, std::int64_t count) {
        const Range r = parse_range(selection.value(key, std::string(":")), what);
        if (r.begin < 0 && !r.end) {
            parts.push_back(r.begin == -1 ? "last token" : fmt::format("last {} tokens", -r.begin));
            return;
        }
        const std::int64_t end = r.end.value_or(count);
        if (r.begin == 0 && end >= count) return;
        const std::string one = std::string(what).substr(0, std::string_view(what).size() - 1);
        parts.push_back(r.begin == end - 1 ? fmt::format("{} {}", one, r.begin)
                        : end >= count     ? fmt::format("{} from {}", what, r.begin)
                                           : fmt::format("{} {} to {}", what, r.begin, end - 1));
    };
    const auto list = [&](const char* key) {
        std::string text;
        for (const Json& entry : selection.value(key, Json::array()))
            text += (text.empty() ? "" : ", ") + entry.get<std::string>();
        return text;
    };
    if (const auto names = list("components"); !names.empty()) parts.push_back(names);
    range("layers", "layers", run.n_layers());
    range("positions", "positions", run.length());
    if (const auto names = list("labels"); !names.empty()) parts.push_back(names);
    for (const Json& where : selection.value("where", Json::array()))
        parts.push_back(fmt::format("{} {}", where.at("column").get<std::string>(),
                                    fmt::join(where.at("values").get<std::vector<std::string>>(), " or ")));
    const std::string normalize = selection.value("normalize", "none");
    parts.push_back(normalize == "none"   ? "raw vectors"
                    : normalize == "unit" ? "unit vectors"
                                          : "layer-normed vectors");
    if (const auto means = list("mean"); !means.empty()) parts.push_back("mean over " + means);
    if (const auto order = selection.value("layer_order", "given"); order != "given")
        parts.push_back("layers " + order);
    return fmt::format("{}", fmt::join(parts, " · "));
}

std::string selection_text(const Run& run, const Selection& selection) {
    return selection_text(run, selection.json());
}

std::string run_text(const Run& run) {
    const std::int64_t n = run.n_sequences();
    const std::string size =
        n * run.length() == run.n_tokens()
            ? fmt::format("{} × {} tokens", n, run.length())
            : fmt::format("{}, {}", counted(n, "sequence"), counted(run.n_tokens(), "token"));
    return fmt::format("{} · {}, {}", run.model_name(), run.prompts(), size);
}

}  // namespace tomograph
