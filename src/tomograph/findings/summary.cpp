#include "tomograph/findings/summary.h"

#include <fmt/format.h>

namespace tomograph {
namespace {

std::string shown(const Json& value) {
    return value.is_number() ? fmt::format("{:.4g}", value.get<double>()) : "–";
}

/// The text of a field that may be absent or null.
std::string text(const Json& json, const char* key) {
    const auto found = json.find(key);
    return found != json.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

std::vector<FindingLine> finding_lines(const Json& findings) {
    std::vector<FindingLine> lines;
    for (const Json& finding : findings) {
        const Json interval = finding.value("interval", Json());
        const bool less = finding.value("smaller_counts", false) && finding.value("null", Json()).is_number();
        lines.push_back({.name = text(finding, "name"),
                         .effect = shown(finding.value("effect", Json())),
                         .interval = interval.is_array() && interval.size() == 2
                                         ? shown(interval[0]) + " to " + shown(interval[1])
                                         : "–",
                         .null = shown(finding.value("null", Json())) + (less ? " (less counts)" : ""),
                         .verdict = text(finding, "verdict"),
                         .figure = text(finding, "figure"),
                         .effect_is = text(finding, "effect_is"),
                         .reason = text(finding, "reason")});
    }
    return lines;
}

std::vector<SummaryLine> summary_lines(const Json& numbers) {
    std::vector<SummaryLine> lines;
    if (numbers.contains("first_token_norm_ratio"))
        lines.push_back({"first token's norm",
                         fmt::format("{:.2f} ×", numbers["first_token_norm_ratio"].get<double>()),
                         "mean norm at position 0 over the median elsewhere, at " +
                             text(numbers, "first_token_norm_site")});
    if (numbers.contains("variance_explained_2"))
        lines.push_back({"variance explained by two components",
                         fmt::format("{:.1f} %", 100 * numbers["variance_explained_2"].get<double>()),
                         "attention and MLP outputs together, middle layers, raw vectors"});
    if (numbers.contains("attention_mlp_cosine")) {
        const Json& cosine = numbers["attention_mlp_cosine"];
        lines.push_back({"cosine between attention and MLP output",
                         fmt::format("{:+.3f} ± {:.3f}", cosine.at("mean").get<double>(),
                                     cosine.at("deviation").get<double>()),
                         fmt::format("mean and deviation over {} pairs, middle layers, first token left out",
                                     cosine.at("pairs").get<std::int64_t>())});
    }
    return lines;
}

}  // namespace tomograph
