#include "tomograph/serve/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tomograph/base/error.h"
#include "tomograph/base/file.h"
#include "tomograph/base/random.h"
#include "tomograph/base/version.h"
#include "tomograph/serve/catalog.h"
#include "tomograph/serve/page.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMostRows = 200'000;
constexpr std::int64_t kLeastRows = 1000;
constexpr Eigen::Index kAxes = 6;

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

/// JSON inside a script element: nothing in it may look like markup.
std::string script_json(const Json& json) {
    std::string safe;
    for (const char c : json_text(json)) {
        if (c == '<')
            safe += "\\u003c";
        else
            safe += c;
    }
    return safe;
}

std::string json_element(const std::string& path, const Json& json) {
    return fmt::format("<script type=\"application/json\" data-path=\"{}\">{}</script>\n", escape(path),
                       script_json(json));
}

std::string column_element(const std::string& path, const Column& column) {
    return fmt::format("<script type=\"text/plain\" data-path=\"{}\">{}</script>\n", escape(path),
                       base64(column.bytes));
}

/// The same tokens at every site, chosen by hash, so that paths through the layers stay whole.
std::vector<std::int64_t> sampled_rows(const RowLabels& labels, std::int64_t most) {
    const std::int64_t n = labels.size();
    const auto stride = static_cast<std::uint64_t>((n + most - 1) / most);
    std::vector<std::int64_t> rows;
    for (std::int64_t row = 0; row < n; ++row) {
        const auto r = static_cast<std::size_t>(row);
        const auto who = labels.token[r] >= 0 ? mix(static_cast<std::uint64_t>(labels.token[r]))
                                              : mix(static_cast<std::uint64_t>(labels.sequence[r]),
                                                    static_cast<std::uint64_t>(labels.position[r]));
        if (stride <= 1 || who % stride == 0) rows.push_back(row);
    }
    return rows;
}

Projection thinned(const Projection& whole, std::int64_t most) {
    const auto rows = sampled_rows(whole.labels, most);
    Projection some{whole.name,
                    Matrix(static_cast<Eigen::Index>(rows.size()), std::min(whole.points.cols(), kAxes)),
                    {},
                    {},
                    whole.info};
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto r = static_cast<std::size_t>(rows[i]);
        some.points.row(static_cast<Eigen::Index>(i)) = whole.points.row(rows[i]).head(some.points.cols());
        some.labels.component.push_back(whole.labels.component[r]);
        some.labels.layer.push_back(whole.labels.layer[r]);
        some.labels.position.push_back(whole.labels.position[r]);
        some.labels.token.push_back(whole.labels.token[r]);
        some.labels.sequence.push_back(whole.labels.sequence[r]);
        some.labels.label.push_back(whole.labels.label[r]);
        some.labels.norm.push_back(whole.labels.norm[r]);
    }
    return some;
}

std::size_t bytes_of(const Json& info, std::int64_t rows) {
    const auto axes = std::min<std::int64_t>(info.value("dims", std::int64_t{3}), kAxes);
    return static_cast<std::size_t>(std::min(rows, info.value("n_rows", std::int64_t{0})) * (4 * axes + 4));
}

/// The largest cap on rows under which all projections together keep to the budget.
std::int64_t affordable_rows(const Json& manifest, std::size_t budget) {
    std::int64_t rows = kMostRows;
    const auto total = [&] {
        std::size_t sum = 0;
        for (const Json& run : manifest.at("runs")) {
            for (const Json& projection : run.at("projections")) sum += bytes_of(projection.at("info"), rows);
        }
        return sum;
    };
    while (rows > kLeastRows && total() > budget) rows = rows * 9 / 10;
    return rows;
}

/// Columns under the paths that the server answers.
std::string data_elements(Catalog& catalog, Json& manifest, const ReportOptions& options) {
    const std::int64_t most = affordable_rows(manifest, options.column_bytes);
    std::string html;
    manifest["sampled"] = Json::object();
    for (std::size_t run = 0; run < catalog.n_runs(); ++run) {
        const std::string base = fmt::format("runs/{}", run);
        for (Json& entry : manifest["runs"][run]["projections"]) {
            const std::string name = entry.at("name");
            const auto whole = catalog.load(run, name);
            const Projection some = thinned(*whole, most);
            if (some.points.rows() < whole->points.rows())
                manifest["sampled"][fmt::format("{}/{}", run, name)] = {{"shown", some.points.rows()},
                                                                        {"of", whole->points.rows()}};
            entry["info"]["dims"] = some.points.cols();
            const ColumnSet set = projection_columns(some);
            html += json_element(base + "/projections/" + name, set.header);
            for (const auto& [column, numbers] : set.columns)
                html += column_element(base + "/projections/" + name + "/" + column, *numbers);
        }
        const auto tokens = catalog.tokens(run);
        html += json_element(base + "/tokens", tokens->header);
        for (const auto& [column, numbers] : tokens->columns)
            html += column_element(base + "/tokens/" + column, *numbers);
        html += json_element(base + "/vocabulary", Json::parse(*catalog.vocabulary(run)));
        for (const Component component : norm_components(catalog.run(run)))
            html += column_element(fmt::format("{}/norms/{}", base, component_name(component)),
                                   *catalog.norms(run, component));
    }
    return html;
}

std::string number_text(const Json& value) {
    return value.is_number() ? fmt::format("{:.4g}", value.get<double>()) : "–";
}

std::string numbers_table(const Json& study) {
    const Json numbers = study.value("numbers", Json::object());
    std::string rows;
    const auto row = [&](const std::string& what, const std::string& value, const std::string& how) {
        rows += fmt::format("<tr><th>{}</th><td>{}</td><td>{}</td></tr>\n", escape(what), escape(value),
                            escape(how));
    };
    if (numbers.contains("first_token_norm_ratio"))
        row("first token's norm", number_text(numbers["first_token_norm_ratio"]) + " ×",
            "mean norm at position 0 over the median elsewhere, at " +
                numbers.value("first_token_norm_site", "?"));
    if (numbers.contains("variance_explained_2"))
        row("variance explained by two components",
            fmt::format("{:.1f} %", 100 * numbers["variance_explained_2"].get<double>()),
            "attention and MLP outputs together, middle layers, raw vectors");
    if (numbers.contains("attention_mlp_cosine")) {
        const Json& cosine = numbers["attention_mlp_cosine"];
        row("cosine between attention and MLP output",
            number_text(cosine.value("mean", Json())) + " ± " +
                number_text(cosine.value("deviation", Json())),
            "mean and deviation over pairs, middle layers, first token left out");
    }
    return rows.empty() ? "" : "<h2>Numbers</h2>\n<table>\n" + rows + "</table>\n";
}

std::string findings_table(const Json& manifest) {
    std::string html;
    for (const Json& run : manifest.at("runs")) {
        if (!run.contains("findings")) continue;
        html += fmt::format(
            "<h2>Findings, "
            "{}</h2>\n<table>\n<tr><th>finding</th><th>effect</th><th>chance</th><th>verdict</th></tr>\n",
            escape(run.value("name", "")));
        for (const Json& finding : run["findings"].value("findings", Json::array())) {
            html +=
                fmt::format("<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                            escape(finding.value("name", "")), number_text(finding.value("effect", Json())),
                            number_text(finding.value("null", Json())), escape(finding.value("verdict", "")));
        }
        html += "</table>\n";
    }
    return html;
}

std::string figures(const Catalog& catalog) {
    std::string html, group;
    for (const Json& figure : catalog.study().value("figures", Json::array())) {
        const std::string heading = figure.value("group", ""), file = figure.value("file", ""),
                          caption = figure.value("caption", "");
        if (heading != group || html.empty()) {
            if (!html.empty()) html += "</div>\n";
            group = heading;
            html += fmt::format("<h2>{}</h2>\n<div class=\"figures\">\n", escape(group));
        }
        if (file.empty()) {
            html += fmt::format("<p>{}</p>\n", escape(caption));
            continue;
        }
        const fs::path path = catalog.figure(fs::path(file).filename().string());
        html += fmt::format(
            "<figure><img alt=\"{}\" src=\"data:image/png;base64,{}\"><figcaption>{}</figcaption></figure>\n",
            escape(caption), base64(read_file(path)), escape(caption));
    }
    return html.empty() ? "" : html + "</div>\n";
}

constexpr std::string_view kStyle = R"(
#static { max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
#static h2 { font-size: 1.1rem; color: inherit; margin-top: 2rem; }
#static table { width: auto; font-size: .95rem; }
#static td, #static th { padding: .2rem 1.2rem .2rem 0; }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(26rem, 100%), 1fr)); gap: 1.5rem; }
figure { margin: 0; } figure img { width: 100%; background: white; border-radius: 4px; } figcaption { font-size: .88rem; }
)";

}  // namespace

void write_viewer_report(const fs::path& folder, const fs::path& out, const ReportOptions& options) {
    if (!has_page())
        throw Error("this tomograph was built without its viewer", "", "build it with -DTOMOGRAPH_VIEWER=ON");
    Catalog catalog({folder});
    Json manifest = catalog.manifest();
    const std::string data = data_elements(catalog, manifest, options);
    const std::string name = manifest.at("runs").at(0).at("model").value("name", "?");
    const std::string below = numbers_table(catalog.study().is_null() ? Json::object() : catalog.study()) +
                              findings_table(manifest) + (catalog.study().is_null() ? "" : figures(catalog));

    std::string page = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
    page += fmt::format(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src 'sha256-{}'; "
        "style-src "
        "'unsafe-inline'; img-src data: blob:; worker-src blob:; base-uri 'none'; form-action 'none'\">\n",
        page_file("viewer.sha256"));
    page +=
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta "
        "name=\"color-scheme\" content=\"light dark\">\n";
    page += fmt::format("<title>{} · tomograph</title>\n<style>{}{}</style>\n", escape(name),
                        page_file("viewer.css"), kStyle);
    page +=
        "<noscript><style>#app { display: none; }</style></noscript>\n</head>\n<body>\n<div "
        "id=\"app\"></div>\n";
    page += fmt::format("<section id=\"static\">\n<h1>{}</h1>\n<p>tomograph {}</p>\n{}</section>\n",
                        escape(name), kVersion, below);
    page += json_element("manifest", manifest) + data;
    page += "<script type=\"module\">";
    page += page_file("viewer.js");
    page += "</script>\n</body>\n</html>\n";
    AtomicFile file(out);
    file.write(page);
    file.commit();
}

}  // namespace tomograph
