#include "tomograph/serve/other_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string_view>

#include "tomograph/base/error.h"
#include "tomograph/base/text.h"
#include "tomograph/linear/finite.h"
#include "tomograph/linear/spread.h"
#include "tomograph/serve/columns.h"

namespace tomograph {
namespace {

std::int64_t sites_on(const Projection& map) {
    std::set<Site> sites;
    for (std::int64_t row = 0; row < map.points.rows(); ++row) sites.insert(map.labels.site(row));
    return static_cast<std::int64_t>(sites.size());
}

/// As many rows as the map's own tokens have at the other sites: select() then draws the same tokens.
void keep_tokens(Selection& selection, std::vector<std::string>& notes, const Run& run,
                 const Projection& map) {
    const std::int64_t most = map.pca ? kMostOthers : kMostOthersOnUmap;
    const std::int64_t n_sites = std::ssize(selected_sites(run, selection));
    const std::int64_t tokens = map.points.rows() / std::max<std::int64_t>(1, sites_on(map));
    const std::int64_t kept = std::min(tokens, std::max<std::int64_t>(1, most / n_sites));
    if (kept < tokens)
        notes.push_back(
            fmt::format("a sample: of {} of the map's {} tokens, so that at most {} points are laid out",
                        kept, tokens, most));
    selection.sample = Sample::tokens;
    selection.rows = kept * n_sites;
}

/// Shares of the rows' variance along each axis.
std::vector<double> own_shares(const Projection& projection, const SelectedRows& rows) {
    const double total = measure_spread(rows).total_variance;
    const MatrixD points = projection.points.cast<double>();
    const auto n = static_cast<double>(points.rows());
    std::vector<double> shares;
    for (Eigen::Index axis = 0; axis < points.cols(); ++axis) {
        const auto scores = points.col(axis).array();
        const double variance = n > 1 ? (scores - scores.mean()).square().sum() / (n - 1) : 0;
        shares.push_back(total > 0 ? variance / total : 0);
    }
    return shares;
}

}  // namespace

std::optional<OtherRows> parse_other_rows(const std::string& name) {
    const auto first = name.find('@');
    if (first == std::string::npos) return std::nullopt;
    const auto second = name.find('@', first + 1);
    OtherRows others{.map = name.substr(0, first)};
    check_projection_name(others.map);
    if (second == std::string::npos || name.size() > 300)
        throw Error("'" + printable(name.substr(0, 300)) + "' names no rows",
                    "they are called MAP@COMPONENTS@LAYERS", "for example " + others.map + "@mlp_out@3");
    others.components = parse_components(name.substr(first + 1, second - first - 1));
    others.layers = parse_range(std::string_view(name).substr(second + 1), "layers");
    return others;
}

std::string map_of(const std::string& name) {
    const auto others = parse_other_rows(name);
    if (!others) check_projection_name(name);
    return others ? others->map : name;
}

Projection lay_out_others(const Run& run, const Projection& map, const std::string& name,
                          const OtherRows& others, Placer& placer, const std::string& key) {
    if (map.constant())
        throw Error("all rows of '" + map.name + "' are equal", "it has no axes for others to lie on", "");
    Selection selection = selection_of(map);
    selection.components = others.components;
    selection.layers = others.layers;
    std::vector<std::string> notes;
    if (!selection.averages()) keep_tokens(selection, notes, run, map);
    const SelectedRows rows = select(run, selection);
    const std::int64_t dim = map.info.value("dim", rows.dim());
    if (rows.dim() != dim)
        throw Error(
            fmt::format("{} has {} coordinates", component_name(others.components.front()), rows.dim()),
            fmt::format("the axes of '{}' are of {}", map.name, dim), "choose another component");
    Projection projection{name, {}, rows.labels(), map.pca, {}};
    Json& info = projection.info;
    info = {{"method", map.method()},
            {"n_rows", rows.n_rows()},
            {"n_candidates", rows.n_candidates()},
            {"dim", dim},
            {"dims", map.points.cols()},
            {"basis_of", map.name},
            {"selection", selection.json()},
            {"center", map.info.value("center", true)}};
    if (map.info.contains("umap")) info["umap"] = map.info.at("umap");
    try {
        projection.points = placer.lay_out(rows, run, map, key, notes);
        if (map.pca) {
            info["explained_variance_ratio"] = own_shares(projection, rows);
            info["fitted_variance_ratio"] = map.info.value("explained_variance_ratio", Json::array());
        }
    } catch (const NonFinite& e) {
        throw Error(rows.describe(e.row) + " holds NaN or Inf", "", "choose other layers or components");
    }
    if (!notes.empty()) info["notes"] = notes;
    return projection;
}

}  // namespace tomograph
