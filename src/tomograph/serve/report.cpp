#include "tomograph/serve/report.h"

#include <fmt/format.h>

#include <algorithm>

#include "tomograph/base/file.h"
#include "tomograph/base/html.h"
#include "tomograph/base/random.h"
#include "tomograph/report/report.h"
#include "tomograph/serve/catalog.h"
#include "tomograph/serve/page.h"

namespace tomograph {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMostRows = 200'000;
constexpr std::int64_t kLeastRows = 1000;
constexpr Eigen::Index kAxes = 6;

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
    return fmt::format("<script type=\"application/json\" data-path=\"{}\">{}</script>\n", html_escape(path),
                       script_json(json));
}

std::string column_element(const std::string& path, const Column& column) {
    return fmt::format("<script type=\"text/plain\" data-path=\"{}\">{}</script>\n", html_escape(path),
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
                    whole.labels.of(rows),
                    {},
                    whole.info};
    for (std::size_t i = 0; i < rows.size(); ++i)
        some.points.row(static_cast<Eigen::Index>(i)) = whole.points.row(rows[i]).head(some.points.cols());
    return some;
}

/// Bytes of a projection's columns, at most.
std::size_t bytes_of(const Json& info, std::int64_t rows) {
    const auto axes = std::min<std::int64_t>(whole_number(info, "dims", std::int64_t{3}), kAxes);
    const Json means = info.value("selection", Json::object()).value("mean", Json::array());
    const std::int64_t labels = means.empty() ? 7 : 15;  // token, norm and expert; or who an average is of
    return static_cast<std::size_t>(std::min(rows, whole_number(info, "n_rows", std::int64_t{0})) *
                                    (4 * axes + labels));
}

/// The largest number of rows that every projection may keep so that all together fit the budget.
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

/// What every point refers to, under the paths that the server answers.
std::string shared_elements(Catalog& catalog) {
    std::string html;
    for (std::size_t run = 0; run < catalog.n_runs(); ++run) {
        const std::string base = fmt::format("runs/{}", run);
        const auto tokens = catalog.tokens(run);
        html += json_element(base + "/tokens", tokens->header);
        for (const auto& [column, numbers] : tokens->columns)
            html += column_element(base + "/tokens/" + column, *numbers);
        html += json_element(base + "/vocabulary", parse_json(catalog.vocabulary(run)->bytes));
        for (const Component component : norm_components(*catalog.run(run)))
            html += column_element(fmt::format("{}/norms/{}", base, component_name(component)),
                                   *catalog.norms(run, component));
    }
    return html;
}

/// Points of at most `most` rows a projection; the manifest says where that is fewer than there are.
std::string projection_elements(Catalog& catalog, Json& manifest, std::int64_t most) {
    std::string html;
    manifest["sampled"] = Json::object();
    for (std::size_t run = 0; run < catalog.n_runs(); ++run) {
        for (Json& entry : manifest["runs"][run]["projections"]) {
            const std::string name = entry.at("name");
            const std::string base = fmt::format("runs/{}/projections/{}", run, name);
            const auto whole = catalog.load(run, name);
            const Projection some = thinned(*whole, most);
            if (some.points.rows() < whole->points.rows())
                manifest["sampled"][fmt::format("{}/{}", run, name)] = {{"shown", some.points.rows()},
                                                                        {"of", whole->points.rows()}};
            entry["info"]["dims"] = some.points.cols();
            const ColumnSet set = projection_columns(*catalog.run(run), some);
            html += json_element(base, set.header);
            for (const auto& [column, numbers] : set.columns)
                html += column_element(base + "/" + column, *numbers);
        }
    }
    return html;
}

}  // namespace

void write_viewer_report(const fs::path& folder, const fs::path& out, const ReportOptions& options) {
    Catalog catalog({folder});
    Json manifest = catalog.manifest();
    const StaticReport plain = static_report(folder);
    const std::string shared = shared_elements(catalog);
    const std::size_t fixed = plain.body.size() + shared.size() + page_file("viewer.js").size();
    const std::size_t left = options.bytes > fixed ? options.bytes - fixed : 0;
    const std::string points =
        projection_elements(catalog, manifest, affordable_rows(manifest, left / 4 * 3));

    std::string page = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
    page += fmt::format(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src 'sha256-{}'; "
        "style-src 'unsafe-inline'; img-src data: blob:; worker-src blob:; base-uri 'none'; form-action "
        "'none'\">\n",
        page_file("viewer.sha256"));
    page +=
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta "
        "name=\"color-scheme\" content=\"light dark\">\n";
    page += fmt::format("<title>{} · tomograph</title>\n<style>{}{}</style>\n", html_escape(plain.title),
                        page_file("viewer.css"), plain.style);
    page +=
        "<noscript><style>#app { display: none; }</style></noscript>\n</head>\n<body>\n<div "
        "id=\"app\"></div>\n";
    page += plain.body + json_element("manifest", manifest) + shared + points;
    page += "<script type=\"module\">";
    page += page_file("viewer.js");
    page += "</script>\n</body>\n</html>\n";
    AtomicFile file(out);
    file.write(page);
    file.commit();
}

}  // namespace tomograph
