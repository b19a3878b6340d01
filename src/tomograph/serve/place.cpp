#include "tomograph/serve/place.h"

#include <fmt/format.h>

#include <algorithm>

#include "tomograph/base/error.h"
#include "tomograph/serve/columns.h"
#include "tomograph/serve/nearest.h"

namespace tomograph {
namespace {

/// Rows whose places decide where another one goes.
constexpr int kNeighbors = 5;

}  // namespace

PromptSelection prompt_selection(const Projection& map) {
    const Selection of = selection_of(map);
    PromptSelection out;
    out.selection.layers = of.layers;
    out.selection.normalize = of.normalize;
    out.selection.layer_order = of.layer_order;
    out.selection.seed = of.seed;
    // Those that the map has: the prompt's run may hold more.
    for (const Component component : all_components()) {
        if (std::ranges::find(map.labels.component, component) != map.labels.component.end())
            out.selection.components.push_back(component);
    }
    std::string left;
    if (of.positions != Range{}) left += fmt::format("positions {}", of.positions.text());
    if (!of.labels.empty() || !of.where.empty())
        left += fmt::format("{}some labels", left.empty() ? "" : " and ");
    if (!left.empty())
        out.notes.push_back(fmt::format("the map is of {} only; all tokens of the prompt are shown", left));
    if (of.averages())
        out.notes.push_back("the map's points are averages; those of the prompt are single tokens");
    return out;
}

Placed Placer::place(const Run& prompt, const Run& run, const Projection& map, const std::string& key) {
    PromptSelection chosen = prompt_selection(map);
    const SelectedRows rows = select(prompt, chosen.selection);
    Placed placed{{map.name, {}, rows.labels(), {}, map.info}, std::move(chosen.notes)};
    placed.projection.points = lay_out(rows, run, map, key, placed.notes);
    return placed;
}

Matrix Placer::lay_out(const SelectedRows& rows, const Run& run, const Projection& map,
                       const std::string& key, std::vector<std::string>& notes) {
    if (map.constant()) return Matrix::Zero(rows.n_rows(), map.points.cols());
    if (map.pca)
        return transform(*map.pca, rows, {.center = map.info.value("center", true), .threads = threads_});
    Matrix points = by_neighbors(rows, run, map, key);
    notes.push_back(
        fmt::format("a {} has no axes to project on: each point stands where its {} nearest of the map stand",
                    map.method() == "umap" ? "UMAP" : map.method(), kNeighbors));
    return points;
}

Matrix Placer::by_neighbors(const SelectedRows& rows, const Run& run, const Projection& map,
                            const std::string& key) {
    const std::int64_t n = map.points.rows();
    if (n > most_)
        throw Error(fmt::format("a prompt is placed on a UMAP of {} rows at most", most_),
                    fmt::format("this one has {}", n), "take a PCA map, of any size, or a smaller UMAP");
    const std::lock_guard lock(mutex_);
    if (indexed_ != key || !index_) {
        index_.reset();
        const SelectedRows own = rows_of(run, map);
        const Json umap = map.info.value("umap", Json::object());
        NeighborOptions options{.metric = parse_metric(umap.value("metric", "cosine")), .threads = threads_};
        index_ = std::make_shared<const NeighborIndex>(own, options);
        indexed_ = key;
    }
    const auto k = static_cast<int>(std::min<std::int64_t>(kNeighbors, n));
    const Neighbors near = index_->query(rows, k);
    Matrix points = Matrix::Zero(rows.n_rows(), map.points.cols());
    for (Eigen::Index i = 0; i < points.rows(); ++i) {
        // Squared distances over the farthest's: a row that the map has is at its own place.
        const double farthest = std::max(1e-30, double{near.distances(i, k - 1)});
        double sum = 0;
        Eigen::RowVectorXd place = Eigen::RowVectorXd::Zero(points.cols());
        for (int j = 0; j < k; ++j) {
            const double ratio = near.distances(i, j) / farthest;
            const double weight = 1 / (ratio * ratio + 1e-6);
            place += weight * map.points.row(near.indices(i, j)).cast<double>();
            sum += weight;
        }
        points.row(i) = (place / sum).cast<float>();
    }
    return points;
}

}  // namespace tomograph
