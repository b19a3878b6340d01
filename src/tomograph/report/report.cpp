#include "tomograph/report/report.h"

#include <fmt/format.h>

#include "tomograph/base/file.h"
#include "tomograph/base/html.h"
#include "tomograph/base/json.h"
#include "tomograph/base/version.h"
#include "tomograph/findings/summary.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kStyle = R"(
.report { max-width: 72rem; margin: 2rem auto; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif; }
.report h1 { font-size: 1.5rem; margin-bottom: 0; }
.report h2 { font-size: 1.15rem; color: inherit; margin: 2.5rem 0 .6rem; border-bottom: 1px solid #8886; }
.report table { border-collapse: collapse; width: auto; font-size: .95rem; }
.report td, .report th { text-align: left; vertical-align: top; padding: .2rem 1.2rem .2rem 0; }
.report .number { font-variant-numeric: tabular-nums; white-space: nowrap; }
.report .wide { overflow-x: auto; }
.report .note, .report figcaption { font-size: .88rem; }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(26rem, 100%), 1fr)); gap: 1.5rem; }
.report figure { margin: 0; }
.report figure img { width: 100%; background: white; border: 1px solid #8884; border-radius: 4px; }
)";

/// The text of a field that may be absent or null.
std::string text(const Json& json, const char* key) {
    const auto found = json.find(key);
    return found != json.end() && found->is_string() ? found->get<std::string>() : "";
}

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
    const fs::path file = run / "measures" / "findings.json";
    const Json findings = fs::exists(file) ? list(read_json(file), "findings") : Json::array();
    if (findings.empty()) return "";
    std::string html = fmt::format(
        "<h2>{}</h2>\n<div class=\"wide\"><table>\n<tr><th>finding</th><th>effect</th><th>interval</th>"
        "<th>null</th><th>verdict</th><th>what the number is</th></tr>\n",
        html_escape(heading));
    for (const FindingLine& line : finding_lines(findings)) {
        html += fmt::format(
            "<tr><th>{}</th><td class=\"number\">{}</td><td class=\"number\">{}</td><td "
            "class=\"number\">{}</td><td>{}</td><td class=\"note\">{}</td></tr>\n",
            html_escape(line.name), line.effect, line.interval, html_escape(line.null),
            html_escape(line.verdict),
            html_escape(line.effect_is + (line.reason.empty() ? "" : ": " + line.reason)));
    }
    return html +
           "</table></div>\n<p class=\"note\">Intervals are 95 % by bootstrap over sequences. The null is "
           "the strictest control: labels or positions shuffled, or the same architecture with random "
           "weights.</p>\n";
}

std::string figures(const fs::path& study, const Json& figures) {
    std::string html, group;
    for (const Json& figure : figures) {
        const std::string caption = html_escape(text(figure, "caption")), file = text(figure, "file");
        if (text(figure, "group") != group || html.empty()) {
            if (!html.empty()) html += "</div>\n";
            group = text(figure, "group");
            html += fmt::format("<h2>{}</h2>\n<div class=\"figures\">\n", html_escape(group));
        }
        if (file.empty()) {
            html += fmt::format("<p class=\"note\">{}</p>\n", caption);
            continue;
        }
        html += fmt::format(
            "<figure><img alt=\"{}\" src=\"data:image/png;base64,{}\"><figcaption>{} <span "
            "class=\"note\">({})</span></figcaption></figure>\n",
            caption, base64(read_file(study / file)), caption, html_escape(file));
    }
    return html.empty() ? "" : html + "</div>\n";
}

}  // namespace

StaticReport static_report(const fs::path& folder) {
    const bool study = fs::exists(folder / "study.json");
    const Json json = read_json(folder / (study ? "study.json" : "run.json"));
    const Json model = json.value("model", Json::object());
    StaticReport report{model.value("name", "?"), std::string(kStyle), {}};
    report.body = fmt::format(
        "<section class=\"report\" id=\"static\">\n<h1>{}</h1>\n<p class=\"note\">tomograph {} · {} weights, "
        "{} layers, d_model {}</p>\n",
        html_escape(report.title), kVersion, html_escape(model.value("type", "?")),
        model.value("n_layers", 0), model.value("d_model", 0));
    report.body += numbers_table(json.value("numbers", Json::object()));
    if (study) {
        for (const Json& run : list(json, "runs")) {
            const fs::path name = run.get<std::string>();
            if (!name.has_parent_path())
                report.body += findings_table(folder / name, "Findings: " + name.string());
        }
    } else {
        report.body += findings_table(folder, "Findings");
    }
    for (const Json& note : list(json, "notes"))
        report.body += fmt::format("<p class=\"note\">{}</p>\n", html_escape(note.get<std::string>()));
    report.body += figures(folder, list(json, "figures")) + "</section>\n";
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
