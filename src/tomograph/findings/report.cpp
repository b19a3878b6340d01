// What measure_run() found, for people, programs and spreadsheets.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "tomograph/base/counted.h"
#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/base/text.h"
#include "tomograph/base/version.h"
#include "tomograph/findings/list.h"
#include "tomograph/findings/measure.h"
#include "tomograph/findings/sinks.h"
#include "tomograph/findings/summary.h"
#include "tomograph/store/token_numbers.h"

namespace tomograph {
namespace {

Json outlier_json(const Outlier& outlier, bool full) {
    Json json = {{"site", outlier.site.name()},
                 {"sequence", outlier.sequence},
                 {"position", outlier.position},
                 {"token", piece_to_json(outlier.piece)},
                 {"score", number(outlier.score)}};
    if (!full) return json;
    if (!std::isnan(outlier.p)) json["p"] = number(outlier.p);
    json["by"] = outlier.by;
    json["context"] = piece_to_json(outlier.context);
    return json;
}

std::string csv_value(const Json& value) {
    if (value.is_null()) return "";
    if (value.is_string()) return csv_field(value.get<std::string>());
    return csv_field(json_text(value));
}

/// Objects of a table as lines; the first one's keys are the heading. Long lists are left to the JSON.
std::string csv_of(const Json& table) {
    std::vector<std::string> keys;
    for (const Json& row : table) {
        for (const auto& [key, value] : row.items()) {
            if (key != "spectrum" && std::find(keys.begin(), keys.end(), key) == keys.end())
                keys.push_back(key);
        }
    }
    std::string text = fmt::format("{}\n", fmt::join(keys, ","));
    for (const Json& row : table) {
        std::string line;
        for (const std::string& key : keys)
            line += (line.empty() && key == keys.front() ? "" : ",") +
                    (row.contains(key) ? csv_value(row[key]) : "");
        text += line + "\n";
    }
    return text;
}

void write_text(const std::filesystem::path& path, const std::string& text) {
    AtomicFile file(path);
    file.write(text);
    file.commit();
}

/// `full`: as findings.json has it, but for controls and detail.
Json finding_json(const Finding& finding, bool full) {
    Json json = {{"name", finding.name},
                 {"effect", number(finding.effect)},
                 {"interval", number(finding.interval)},
                 {"null", number(finding.null)},
                 {"p", number(finding.p_corrected)},
                 {"verdict", verdict_name(finding.verdict)},
                 {"figure", finding.figure.empty() ? Json(nullptr) : Json(finding.figure)}};
    if (!finding.reason.empty()) json["reason"] = finding.reason;
    if (!full) return json;
    json["effect_is"] = finding.effect_is;
    json["smaller_counts"] = finding.smaller_counts;
    json["p_uncorrected"] = number(finding.p);
    json["no_effect"] = number(finding.no_effect);
    json["margin"] = number(finding.margin);
    json["twins"] = Json::object();
    for (const TwinEffects& twins : finding.twins) json["twins"][twins.kind] = numbers(twins.values);
    return json;
}

/// Characters as they take room on a terminal, near enough: UTF-8 continuation bytes take none.
std::size_t width_of(const std::string& text) {
    return static_cast<std::size_t>(std::count_if(
        text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

/// "anisotropy:absent" into its two halves; without the second, "holds".
std::pair<std::string, std::string> split_at_colon(const std::string& text) {
    const std::size_t colon = text.find(':');
    if (colon == std::string::npos) return {text, "holds"};
    return {text.substr(0, colon), text.substr(colon + 1)};
}

std::optional<Verdict> verdict_of(const std::string& word) {
    static const std::map<std::string, Verdict> words{{"holds", Verdict::holds},
                                                      {"as-untrained", Verdict::as_untrained},
                                                      {"absent", Verdict::absent},
                                                      {"undecided", Verdict::undecided},
                                                      {"not-measurable", Verdict::not_measurable}};
    const auto found = words.find(word);
    return found == words.end() ? std::nullopt : std::optional(found->second);
}

std::string outliers_text(const MeasureReport& report, std::size_t most) {
    std::string text;
    const auto list = [&](const std::vector<Outlier>& outliers) {
        for (std::size_t i = 0; i < std::min(most, outliers.size()); ++i) {
            const Outlier& outlier = outliers[i];
            text += fmt::format("  {:8.1f}  {:<22} sequence {:>4} position {:>5}  {:<11} {}\n", outlier.score,
                                outlier.site.name(), outlier.sequence, outlier.position, outlier.by,
                                printable(outlier.context));
        }
    };
    if (report.outlier_test) {
        const OutlierTest& test = *report.outlier_test;
        text += fmt::format(
            "\n{} of {} tokens stand out from {} (of them {:.3g} % may be ordinary; {} ordinary tokens){}\n",
            test.found == 0 ? "none" : std::to_string(test.found), test.tested, test.reference,
            100 * test.fdr, test.ordinary, test.found == 0 ? "" : ":");
        if (test.found == 0 && test.fewest > 1)
            text += fmt::format(
                "fewer than {} odd tokens could not be told: a longer reference tells fewer\n", test.fewest);
    } else if (!report.outliers.empty()) {
        text += fmt::format("\n{} {} out (score above {:.4g}, which 1 in {:.0f} of this run's tokens is):\n",
                            counted(report.outliers.size(), "token"),
                            report.outliers.size() == 1 ? "stands" : "stand", report.outlier_threshold,
                            1 / report.false_alarm_rate);
    }
    list(report.outliers);
    if (!report.first_tokens.empty()) {
        text += "\nfirst tokens, against first tokens only:\n";
        list(report.first_tokens);
    }
    return text;
}

std::string sinks_of(const MeasureReport& report) {
    const auto census = report.tables.find("sinks");
    return census == report.tables.end() ? "" : sinks_text(census->second);
}

std::string labels_text(const MeasureReport& report) {
    const auto labels = report.tables.find("found_labels");
    if (labels == report.tables.end()) return "";
    std::string text = "\nhow well these scores find labelled tokens (AUROC):\n";
    for (const Json& entry : labels->second) {
        text += fmt::format("  {}: {} by all sites, {} at {}\n", entry["label"].get<std::string>(),
                            json_text(entry["auroc"]), json_text(entry["best_auroc"]),
                            entry["best_site"].get<std::string>());
    }
    return text;
}

std::string notes_text(const MeasureReport& report) {
    std::string text;
    for (const std::string& note : report.notes) text += "\nnote: " + note + "\n";
    return text;
}

}  // namespace

Json findings_json(const MeasureReport& report) {
    Json json = {{"findings", Json::array()}, {"outliers", Json::array()}, {"first_tokens", Json::array()}};
    for (const Finding& finding : report.findings) json["findings"].push_back(finding_json(finding, false));
    for (const Outlier& outlier : report.outliers) json["outliers"].push_back(outlier_json(outlier, false));
    for (const Outlier& outlier : report.first_tokens)
        json["first_tokens"].push_back(outlier_json(outlier, false));
    return json;
}

void save_measures(const Run& run, const MeasureReport& report) {
    const auto folder = run.path() / "measures";
    std::filesystem::create_directories(folder);
    for (const auto& [name, table] : report.tables) write_json(folder / (name + ".json"), table);
    for (const char* name : {"sites", "separation", "heads"}) {
        if (const auto table = report.tables.find(name); table != report.tables.end())
            write_text(folder / (std::string(name) + ".csv"), csv_of(table->second));
    }
    Json outliers = {{"threshold", number(report.outlier_threshold)},
                     {"false_alarm_rate", report.false_alarm_rate},
                     {"outliers", Json::array()},
                     {"first_tokens", Json::array()}};
    if (report.outlier_test)
        outliers["test"] = {
            {"reference", report.outlier_test->reference}, {"fdr", report.outlier_test->fdr},
            {"ordinary", report.outlier_test->ordinary},   {"tested", report.outlier_test->tested},
            {"found", report.outlier_test->found},         {"fewest", report.outlier_test->fewest}};
    for (const Outlier& outlier : report.outliers)
        outliers["outliers"].push_back(outlier_json(outlier, true));
    for (const Outlier& outlier : report.first_tokens)
        outliers["first_tokens"].push_back(outlier_json(outlier, true));
    write_json(folder / "outliers.json", outliers);
    write_text(folder / "outliers.csv", csv_of(outliers["outliers"]));
    if (!report.outlier_scores.empty()) save_token_numbers(run, "outlier", report.outlier_scores);
    save_findings(run, report);
}

void save_findings(const Run& run, const MeasureReport& report) {
    const auto folder = run.path() / "measures";
    Json findings = {{"program", {{"name", "tomograph"}, {"version", kVersion}}},
                     {"model", run.model_name()},
                     {"how", report.how},
                     {"notes", report.notes},
                     {"findings", Json::array()}};
    Json lines = Json::array();
    for (const Finding& finding : report.findings) {
        Json json = finding_json(finding, true);
        lines.push_back({{"finding", finding.name},
                         {"effect", json["effect"]},
                         {"lo", finding.interval ? number(finding.interval->lo) : Json(nullptr)},
                         {"hi", finding.interval ? number(finding.interval->hi) : Json(nullptr)},
                         {"null", json["null"]},
                         {"p", json["p"]},
                         {"verdict", json["verdict"]},
                         {"reason", finding.reason},
                         {"effect_is", finding.effect_is},
                         {"figure", json["figure"]}});
        json["controls"] = Json::array();
        for (const Control& control : finding.controls)
            json["controls"].push_back({{"name", control.name}, {"value", number(control.value)}});
        json["detail"] = finding.detail;
        findings["findings"].push_back(std::move(json));
    }
    write_text(folder / "findings.csv", csv_of(lines));
    write_json(folder / "findings.json", findings);
}

Json load_findings(const Run& run) {
    const auto path = run.path() / "measures" / "findings.json";
    if (!std::filesystem::exists(path))
        throw Error(run.path().string() + " was not measured", "",
                    "run: tomograph measure " + run.path().string());
    return read_json(path);
}

std::string findings_table(const MeasureReport& report, std::size_t most_outliers) {
    Json json = Json::array();
    for (const Finding& finding : report.findings) json.push_back(finding_json(finding, true));
    const std::vector<FindingLine> findings = finding_lines(json);
    std::vector<std::array<std::string, 7>> lines{
        {"finding", "effect", "interval", "null", "p", "verdict", "figure"}};
    for (const FindingLine& line : findings)
        lines.push_back(
            {line.name, line.effect, line.interval, line.null, line.p, line.verdict, line.figure});
    std::array<std::size_t, 7> widths{};
    for (const auto& line : lines) {
        for (std::size_t c = 0; c < line.size(); ++c) widths[c] = std::max(widths[c], width_of(line[c]));
    }
    std::string text;
    for (const auto& cells : lines) {
        std::string line;
        for (std::size_t c = 0; c < cells.size(); ++c)
            line += cells[c] + std::string(widths[c] + 2 - width_of(cells[c]), ' ');
        text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
    }
    std::string reasons;
    for (const FindingLine& line : findings) {
        if (!line.reason.empty())
            reasons += fmt::format("  {}: {}: {}\n", line.name, line.verdict, line.reason);
    }
    if (!reasons.empty()) text += "\n" + reasons;
    return text + "\n" + how_text(report.how) + sinks_of(report) + outliers_text(report, most_outliers) +
           labels_text(report) + notes_text(report);
}

void check_fail_on(const std::vector<std::string>& names, bool has_reference) {
    std::vector<std::string> known;
    for (const FindingKind* kind : finding_kinds()) known.emplace_back(kind->name);
    known.emplace_back("outliers");
    for (const std::string& wanted : names) {
        const auto [name, verdict] = split_at_colon(wanted);
        const bool possible = verdict == "holds" || (name != "outliers" && verdict_of(verdict));
        if (possible && name == "outliers" && !has_reference)
            throw Error("cannot fail on outliers without a reference",
                        "some token of a run is always its oddest",
                        "name a run of ordinary text with --reference RUN");
        if (possible && std::find(known.begin(), known.end(), name) != known.end()) continue;
        throw Error("cannot fail on '" + wanted + "'", fmt::format("findings are {}", fmt::join(known, ", ")),
                    "use NAME or NAME:VERDICT, VERDICT being holds, as-untrained, absent, undecided or "
                    "not-measurable");
    }
}

std::vector<std::string> failing(const MeasureReport& report, const std::vector<std::string>& names) {
    check_fail_on(names, report.outlier_test.has_value());
    std::vector<std::string> found;
    for (const std::string& wanted : names) {
        const auto [name, verdict] = split_at_colon(wanted);
        if (name == "outliers") {
            if (!report.outliers.empty()) found.push_back(wanted);
            continue;
        }
        const Verdict asked = *verdict_of(verdict);
        for (const Finding& finding : report.findings) {
            if (finding.name == name && finding.verdict == asked) found.push_back(wanted);
        }
    }
    return found;
}

}  // namespace tomograph
