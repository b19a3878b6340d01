#include "tomograph/findings/summary.h"

#include <fmt/format.h>

#include <map>
#include <optional>

namespace tomograph {
namespace {

std::string shown(const Json& value) {
    return value.is_number() ? fmt::format("{:.4g}", value.get<double>()) : "–";
}

std::string shown_p(const Json& value) {
    if (!value.is_number()) return "–";
    const double p = value.get<double>();
    return p < 1e-4 ? "< 0.0001" : fmt::format("{:.2g}", p);
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
        if (!finding.is_object()) continue;
        const Json interval = finding.value("interval", Json());
        const bool less =
            finding.value("smaller_counts", Json()) == true && finding.value("null", Json()).is_number();
        lines.push_back({.name = text(finding, "name"),
                         .effect = shown(finding.value("effect", Json())),
                         .interval = interval.is_array() && interval.size() == 2
                                         ? shown(interval[0]) + " to " + shown(interval[1])
                                         : "–",
                         .null = shown(finding.value("null", Json())) + (less ? " (less counts)" : ""),
                         .p = shown_p(finding.value("p", Json())),
                         .verdict = text(finding, "verdict"),
                         .figure = text(finding, "figure"),
                         .effect_is = text(finding, "effect_is"),
                         .reason = text(finding, "reason")});
    }
    return lines;
}

std::string how_text(const Json& how) {
    // Of a file that others may have written: what is not as expected is not there.
    const Json none = Json::object(), &given = how.is_object() ? how : none;
    std::map<std::string, int> kinds;
    for (const Json& twin : given.value("twins", Json()))
        if (twin.is_object()) ++kinds[text(twin, "kind")];
    const Json level = given.value("level", Json());
    std::string twins;
    for (const auto& [kind, count] : kinds)
        twins += fmt::format("{}{} {}", twins.empty() ? "" : " and ", count, kind);
    return fmt::format(
        "p: the chance of such an effect where nothing is, corrected by Holm over the findings; {} % is "
        "asked "
        "for.\n{}\n",
        level.is_number() ? 100 * level.get<double>() : 2.5,
        twins.empty()
            ? "No untrained twins: what architecture alone makes is not told from what training makes."
            : fmt::format("Untrained twins: {}.", twins));
}

std::vector<SummaryLine> summary_lines(const Json& numbers) {
    std::vector<SummaryLine> lines;
    // A study's description is a file that others may have written: what is no number there is no line here.
    const auto given = [](const Json& json, const char* key) -> std::optional<double> {
        const auto found = json.find(key);
        if (found == json.end() || !found->is_number()) return std::nullopt;
        return found->get<double>();
    };
    if (const auto ratio = given(numbers, "first_token_norm_ratio"))
        lines.push_back({"first token's norm", fmt::format("{:.2f} ×", *ratio),
                         "mean norm at position 0 over the median elsewhere, at " +
                             text(numbers, "first_token_norm_site")});
    if (const auto variance = given(numbers, "variance_explained_2"))
        lines.push_back({"variance explained by two components", fmt::format("{:.1f} %", 100 * *variance),
                         "attention and MLP outputs together, middle layers, raw vectors"});
    const Json cosine = numbers.value("attention_mlp_cosine", Json::object());
    const auto mean = given(cosine, "mean"), deviation = given(cosine, "deviation"),
               pairs = given(cosine, "pairs");
    if (mean && deviation && pairs)
        lines.push_back(
            {"cosine between attention and MLP output", fmt::format("{:+.3f} ± {:.3f}", *mean, *deviation),
             fmt::format("mean and deviation over {:.0f} pairs, middle layers, first token left out",
                         *pairs)});
    return lines;
}

}  // namespace tomograph
