#include "tomograph/report/report.h"

#include <fmt/format.h>

#include <optional>

#include "tomograph/base/contained.h"
#include "tomograph/base/file.h"
#include "tomograph/base/html.h"
#include "tomograph/base/json.h"
#include "tomograph/base/version.h"
#include "tomograph/findings/summary.h"
#include "tomograph/report/study_file.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kStyle = R"(
.report { max-width: 72rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif; }
.report h1 { font-size: 1.5rem; margin-bottom: 0; }
.report h2 { font-size: 1.15rem; color: inherit; margin: 2.5rem 0 .6rem; border-bottom: 1px solid #8886; }
.report table { border-collapse: collapse; width: auto; font-size: .95rem; }
.report td, .report th { text-align: left; vertical-align: top; padding: .2rem 1.2rem .2rem 0; }
.report .wide td:last-child { min-width: 18rem; }
.report .number { font-variant-numeric: tabular-nums; white-space: nowrap; }
.report .wide { overflow-x: auto; }
.report .note, .report figcaption { font-size: .88rem; }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(26rem, 100%), 1fr)); gap: 1.5rem; }
.report figure { margin: 0; }
.report figure img { width: 100%; background: white; border: 1px solid #8884; border-radius: 4px; }
)";

Json list(const Json& json, const char* key) {
    const auto found = json.find(key);
    return found != json.end() && found->is_array() ? *found : Json::array();
}

std::string numbers_table(const Json& numbers) {
    std::string rows;
    for (const SummaryLine& line : summary_lines(numbers))
        rows += fmt::format("<tr><th>{}</th><td class=\"number\">{}</td><td>{}</td></tr>\n",
                            html_escape(line.what), html_escape(line.value), html_escape(line.how));
    return rows.empty() ? "" : "<table>\n" + rows + "</table>\n";
}

/// What `tomograph measure` wrote, the latest.
std::string findings_table(const fs::path& run, const std::string& heading) {
    constexpr const char* kFile = "measures/findings.json";
    if (!fs::exists(run / kFile)) return "";
    const Json file = read_json(contained_file(run, kFile)), findings = list(file, "findings");
    if (findings.empty()) return "";
    std::string html = fmt::format(
        "<h2>{}</h2>\n<div class=\"wide\" tabindex=\"0\" role=\"group\" aria-label=\"Table of "
        "findings\"><table>\n<tr><th>finding</th><th>effect</th><th>interval</th>"
        "<th>null</th><th>p</th><th>verdict</th><th>what the number is</th></tr>\n",
        html_escape(heading));  // a keyboard scrolls what can have the focus
    for (const FindingLine& line : finding_lines(findings)) {
        html += fmt::format(
            "<tr><th>{}</th><td class=\"number\">{}</td><td class=\"number\">{}</td><td "
            "class=\"number\">{}</td><td class=\"number\">{}</td><td>{}</td><td "
            "class=\"note\">{}</td></tr>\n",
            html_escape(line.name), line.effect, line.interval, html_escape(line.null), html_escape(line.p),
            html_escape(line.verdict),
            html_escape(line.effect_is + (line.reason.empty() ? "" : ": " + line.reason)));
    }
    return html +
           "</table></div>\n<p class=\"note\">Intervals are 95 %, over sequences. The null is the strictest "
           "control. " +
           html_escape(how_text(file.value("how", Json()))) + "</p>\n";
}

std::string figures(const fs::path& folder, const std::vector<StudyFigure>& figures) {
    std::string html, group;
    for (const StudyFigure& figure : figures) {
        const std::string caption = html_escape(figure.caption);
        if (figure.group != group || html.empty()) {
            if (!html.empty()) html += "</div>\n";
            group = figure.group;
            html += fmt::format("<h2>{}</h2>\n<div class=\"figures\">\n", html_escape(group));
        }
        if (figure.file.empty()) {
            html += fmt::format("<p class=\"note\">{}</p>\n", caption);
            continue;
        }
        html += fmt::format(
            "<figure><img alt=\"{}\" src=\"data:image/png;base64,{}\"><figcaption>{} <span "
            "class=\"note\">({})</span></figcaption></figure>\n",
            caption, base64(read_file(contained_file(folder, figure.file))), caption,
            html_escape(figure.file));
    }
    return html.empty() ? "" : html + "</div>\n";
}

}  // namespace

StaticReport static_report(const fs::path& folder) {
    const bool is_study = fs::exists(folder / "study.json");
    const StudyFile study = is_study ? read_study(folder) : read_run_as_study(folder);
    StaticReport report{study.model_name, std::string(kStyle), {}};
    report.body = fmt::format(
        "<section class=\"report\" id=\"static\">\n<h1>{}</h1>\n<p class=\"note\">tomograph {} · {} weights, "
        "{} layers, d_model {}</p>\n",
        html_escape(report.title), kVersion, html_escape(study.model_type), study.n_layers, study.d_model);
    report.body += numbers_table(study.numbers);
    if (is_study) {
        for (const std::string& name : study.runs) {
            if (fs::exists(folder / name))
                report.body += findings_table(contained_folder(folder, name), "Findings: " + name);
        }
    } else {
        report.body += findings_table(folder, "Findings");
    }
    for (const std::string& note : study.notes)
        report.body += fmt::format("<p class=\"note\">{}</p>\n", html_escape(note));
    report.body += figures(folder, study.figures) + "</section>\n";
    return report;
}

void write_static_report(const fs::path& folder, const fs::path& out) {
    const StaticReport report = static_report(folder);
    AtomicFile file(out);
    file.write(
        fmt::format("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta "
                    "name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta "
                    "name=\"color-scheme\" content=\"light dark\">\n<title>{} · tomograph</title>\n"
                    "<style>{}</style>\n</head>\n<body>\n{}</body>\n</html>\n",
                    html_escape(report.title), report.style, report.body));
    file.commit();
}

}  // namespace tomograph
