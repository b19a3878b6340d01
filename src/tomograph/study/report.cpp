#include "tomograph/study/report.h"

#include <fmt/format.h>

#include <cmath>

#include "tomograph/base/file.h"
#include "tomograph/base/version.h"

namespace tomograph {
namespace {

std::string escape(std::string_view text) {
    std::string safe;
    for (const char c : text) {
        switch (c) {
            case '&':
                safe += "&amp;";
                break;
            case '<':
                safe += "&lt;";
                break;
            case '>':
                safe += "&gt;";
                break;
            case '"':
                safe += "&quot;";
                break;
            default:
                safe += c;
        }
    }
    return safe;
}

std::string base64(std::string_view bytes) {
    static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        std::uint32_t three = 0;
        for (std::size_t k = 0; k < 3; ++k)
            three = three << 8 | (i + k < bytes.size() ? static_cast<unsigned char>(bytes[i + k]) : 0u);
        for (std::size_t k = 0; k < 4; ++k)
            text += i + k > bytes.size() ? '=' : kDigits[three >> (18 - 6 * k) & 63];
    }
    return text;
}

constexpr std::string_view kStyle = R"(
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.15rem; margin-top: 2.5rem; border-bottom: 1px solid #8886; }
table { border-collapse: collapse; } td, th { text-align: left; padding: .2rem 1.2rem .2rem 0; }
td.number { font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(26rem, 1fr)); gap: 1.5rem; }
figure { margin: 0; } figure img { width: 100%; background: white; border: 1px solid #8884; border-radius: 4px; }
figcaption, .note { font-size: .88rem; opacity: .85; }
)";

std::string numbers(const StudySummary& summary) {
    std::string rows;
    const auto row = [&](const std::string& what, const std::string& value, const std::string& how) {
        rows += fmt::format("<tr><th>{}</th><td class=\"number\">{}</td><td>{}</td></tr>\n", escape(what),
                            escape(value), escape(how));
    };
    if (summary.first_token) {
        row("first token's norm", fmt::format("{:.2f} ×", summary.first_token->ratio),
            fmt::format("mean norm at position 0 over the median elsewhere, at {}",
                        summary.first_token->site.name()));
    }
    if (summary.variance_explained)
        row("variance explained by two components",
            fmt::format("{:.1f} %", 100 * *summary.variance_explained),
            "attention and MLP outputs together, middle layers, raw vectors");
    if (summary.attention_mlp)
        row("cosine between attention and MLP output",
            fmt::format("{:+.3f} ± {:.3f}", summary.attention_mlp->mean, summary.attention_mlp->deviation),
            fmt::format("mean and deviation over {} pairs, middle layers, first token left out",
                        summary.attention_mlp->pairs));
    return rows.empty() ? "" : "<table>\n" + rows + "</table>\n";
}

std::string number(double value) {
    return std::isnan(value) ? "–" : fmt::format("{:.4g}", value);
}

std::string findings(const MeasureReport& report) {
    if (report.findings.empty()) return "";
    std::string page =
        "<h2>Findings</h2>\n<div "
        "class=\"wide\"><table>\n<tr><th>finding</th><th>effect</th><th>interval</th><th>null</"
        "th><th>verdict</th><th>what the number is</th></tr>\n";
    for (const Finding& finding : report.findings) {
        const std::string interval = finding.interval ? fmt::format("{} to {}", number(finding.interval->lo),
                                                                    number(finding.interval->hi))
                                                      : "–";
        const std::string why = finding.effect_is + (finding.reason.empty() ? "" : ": " + finding.reason);
        page += fmt::format(
            "<tr><th>{}</th><td class=\"number\">{}</td><td class=\"number\">{}</td><td "
            "class=\"number\">{}</td><td>{}</td><td class=\"note\">{}</td></tr>\n",
            escape(finding.name), number(finding.effect), interval, number(finding.null),
            verdict_name(finding.verdict), escape(why));
    }
    return page +
           "</table></div>\n<p class=\"note\">Intervals are 95 % by bootstrap over sequences. The null is "
           "the strictest control: labels or positions shuffled, or the same architecture with random "
           "weights.</p>\n";
}

}  // namespace

void write_report(const std::filesystem::path& study, const Json& description, const StudySummary& summary) {
    const std::string name = description.at("model").value("name", "?");
    std::string page = fmt::format(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
        "content=\"width=device-width\">\n<title>{} · tomograph</title>\n<style>{}</style>\n<h1>{}</h1>\n",
        escape(name), kStyle, escape(name));
    page += fmt::format("<p class=\"note\">tomograph {} · {} weights, {} layers, d_model {}</p>\n", kVersion,
                        escape(description.at("model").value("type", "?")),
                        description.at("model").value("n_layers", 0),
                        description.at("model").value("d_model", 0));
    page += numbers(summary);
    page += findings(summary.measures);
    for (const std::string& note : summary.notes)
        page += fmt::format("<p class=\"note\">{}</p>\n", escape(note));
    std::string group;
    for (const Figure& figure : summary.figures) {
        if (figure.group != group) {
            if (!group.empty()) page += "</div>\n";
            group = figure.group;
            page += fmt::format("<h2>{}</h2>\n<div class=\"figures\">\n", escape(group));
        }
        if (figure.file.empty()) {
            page += fmt::format("<p class=\"note\">{}</p>\n", escape(figure.caption));
            continue;
        }
        page += fmt::format(
            "<figure><img alt=\"{}\" src=\"data:image/png;base64,{}\"><figcaption>{} <span "
            "class=\"note\">({})</span></figcaption></figure>\n",
            escape(figure.caption), base64(read_file(study / figure.file)), escape(figure.caption),
            escape(figure.file));
    }
    if (!group.empty()) page += "</div>\n";
    AtomicFile file(study / "report.html");
    file.write(page + "</html>\n");
    file.commit();
}

}  // namespace tomograph
