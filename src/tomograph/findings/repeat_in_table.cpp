#include "tomograph/findings/repeat_in_table.h"

#include <fmt/format.h>

#include <algorithm>

#include "tomograph/base/random.h"
#include "tomograph/linear/pca.h"
#include "tomograph/statistics/subspaces.h"

namespace tomograph {
namespace {

constexpr double kHeld = 0.9;    // of the table's variance
constexpr int kSubspaces = 199;  // p can reach 0.005
constexpr Eigen::Index kFewestRepeated = 16, kMost = 16;

/// The leading components that hold kHeld of the table's variance: kMost at most, and an eighth of all
/// dimensions, since more would hold much of anything.
struct TableSubspace {
    MatrixD basis;  // [k, d]
    double held = 0;
};

TableSubspace leading_subspace(const Matrix& table) {
    const auto most = static_cast<int>(std::clamp<Eigen::Index>(table.cols() / 8, 1, kMost));
    const Pca pca = fit_pca(MatrixRows(table), {.n_components = most, .threads = 1});
    TableSubspace found;
    Eigen::Index k = 0;
    while (k < pca.components.rows() && found.held < kHeld) found.held += pca.explained_variance_ratio[k++];
    found.basis = pca.components.topRows(k).cast<double>();
    return found;
}

/// Unit vectors of the stream by position, without the first one and sinks.
Matrix repeated_rows(const Run& repeat, const Site& site) {
    const Matrix means = repeat.means(site);
    std::vector<float> norms;
    for (Eigen::Index p = 1; p < means.rows(); ++p) norms.push_back(means.row(p).norm());
    const double middle = median({norms.begin(), norms.end()});
    std::vector<Eigen::Index> kept;
    for (Eigen::Index p = 1; p < means.rows(); ++p) {
        const double norm = static_cast<double>(norms[static_cast<std::size_t>(p - 1)]);
        if (norm > 0 && norm <= kSinkRatio * middle) kept.push_back(p);
    }
    Matrix rows = means(kept, Eigen::all);
    rows.rowwise().normalize();
    return rows;
}

}  // namespace

std::optional<RepeatInTable> measure_repeat_in_table(Subject& subject, const Matrix& table) {
    const Run* repeat = subject.options.repeat;
    if (repeat == nullptr || !subject.stream || !repeat->has_stats()) return {};
    const TableSubspace inside = leading_subspace(table);
    ChartLine own{.name = "one token repeated"}, text{.name = "the text", .control = true},
        random{.name = "random subspaces", .control = true};
    Json list = Json::array();
    for (const SiteShape& shape : repeat->sites()) {
        if (shape.site.component != *subject.stream || !repeat->has_means(shape.site)) continue;
        const Matrix rows = repeated_rows(*repeat, shape.site);
        if (rows.rows() < kFewestRepeated || !rows.allFinite()) continue;
        const InsideShare share = share_inside(rows.cast<double>(), inside.basis, kSubspaces,
                                               mix(subject.options.seed, 0x7ab1e), subject.threads);
        if (std::isnan(share.value)) continue;
        double of_text = kNoNumber;
        if (subject.census.has(shape.site) && subject.sample.size() >= kFewestRepeated) {
            Matrix sample = read_sample(subject.run, shape.site, subject.sample.rows);
            sample.rowwise().normalize();
            of_text = share_inside(sample.cast<double>(), inside.basis, 0, 0).value;
            subject.run.release();
        }
        list.push_back({{"layer", shape.site.layer},
                        {"share", number(share.value)},
                        {"random", number(share.random)},
                        {"p", number(share.p)},
                        {"text", number(of_text)}});
        own.layer.push_back(shape.site.layer);
        own.value.push_back(share.value);
        random.value.push_back(share.random);
        text.value.push_back(of_text);
    }
    if (list.empty()) return {};
    random.layer = text.layer = own.layer;
    RepeatInTable found;
    found.detail = {{"components", inside.basis.rows()}, {"held", number(inside.held)}, {"layers", list}};
    found.chart = {.name = "repeat-in-table-by-layer",
                   .title = "One token repeated, inside the position table",
                   .caption = fmt::format(
                       "Share of a repeated token's variance over the positions (unit vectors) that lies in "
                       "the {} leading components of the learned table, which hold {:.0f} % of it; dashed: "
                       "the same share of the text's tokens; dotted: what 97.5 % of random subspaces as "
                       "large stay below.",
                       inside.basis.rows(), 100 * inside.held),
                   .shape = LayerChart{.y_label = "share of the variance",
                                       .lines = {std::move(own), std::move(text), std::move(random)}}};
    return found;
}

}  // namespace tomograph
