#include "tomograph/serve/way.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "tomograph/base/error.h"
#include "tomograph/serve/columns.h"

namespace tomograph {

Json way_json(const Run& run, const Projection& map, Placer& placer, const std::string& key,
              std::int32_t token, Component component) {
    if (token < 0 || token >= run.n_tokens()) throw Error("the run has no such token", "", "");
    if (!in_block(component)) throw Error(fmt::format("{} has no layers", component_name(component)), "", "");
    const Selection of = selection_of(map);
    const auto t = static_cast<std::size_t>(token);
    const std::int64_t position = run.tokens().position[t], sequence = run.tokens().sequence[t];
    Selection selection{.components = {component},
                        .positions = {position, position + 1},
                        .sequences = {sequence, sequence + 1},
                        .normalize = of.normalize,
                        .seed = of.seed,
                        .layer_order = of.layer_order};
    const SelectedRows rows = select(run, selection);
    if (rows.dim() != map.info.value("dim", rows.dim()))
        throw Error(fmt::format("{} has another width than the map's vectors", component_name(component)), "",
                    "");
    std::vector<std::string> notes;
    const Matrix points = placer.lay_out(rows, run, map, key, notes);
    const RowLabels& labels = rows.labels();
    std::vector<std::size_t> order(static_cast<std::size_t>(rows.n_rows()));
    std::iota(order.begin(), order.end(), 0);
    std::ranges::stable_sort(order, {}, [&](std::size_t row) { return labels.layer[row]; });
    Json json = {{"component", component_name(component)},
                 {"token", token},
                 {"layers", Json::array()},
                 {"points", Json::array()},
                 {"norms", Json::array()},
                 {"notes", notes}};
    for (const std::size_t row : order) {
        const auto point = points.row(static_cast<Eigen::Index>(row));
        json["layers"].push_back(labels.layer[row]);
        json["points"].push_back(std::vector<float>(point.begin(), point.end()));
        json["norms"].push_back(labels.norm[row]);
    }
    return json;
}

}  // namespace tomograph
