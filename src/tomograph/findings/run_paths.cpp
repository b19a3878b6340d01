// From layer to layer: the tokens' paths, and how alike layers are.
#include <algorithm>
#include <cmath>

#include "tomograph/base/error.h"
#include "tomograph/base/random.h"
#include "tomograph/base/threads.h"
#include "tomograph/findings/parts.h"
#include "tomograph/statistics/cka.h"
#include "tomograph/statistics/trajectories.h"

namespace tomograph {
namespace {

constexpr std::int64_t kStackBytes = 350'000'000;
constexpr int kPathShuffles = 5;
constexpr int kOrderShuffles = 1000;
constexpr std::size_t kFewestLayers = 5;  // 4 layers have 12 orders, the true one among them: no 2.5 % tail

double neighbor_excess(const MatrixD& cka, const std::vector<std::int64_t>& order) {
    const auto n = static_cast<std::size_t>(cka.rows());
    double near = 0, all = 0;
    for (std::size_t i = 0; i + 1 < n; ++i) near += cka(order[i], order[i + 1]);
    for (Eigen::Index i = 0; i < cka.rows(); ++i) {
        for (Eigen::Index j = i + 1; j < cka.rows(); ++j) all += cka(i, j);
    }
    return near / static_cast<double>(n - 1) - all / (0.5 * static_cast<double>(n * (n - 1)));
}

std::vector<std::int64_t> given_order(Eigen::Index n) {
    std::vector<std::int64_t> order(static_cast<std::size_t>(n));
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int64_t>(i);
    return order;
}

}  // namespace

PartResult measure_paths(const Subject& subject, Progress& progress) {
    PartResult result;
    Effect& paths = result.effects["layer_paths"];
    Effect& alike = result.effects["layer_cka"];
    paths.unmeasurable = alike.unmeasurable = subject.lacks_stream();
    if (!paths.unmeasurable.empty()) return result;
    const Run& run = subject.run;
    std::vector<Site> sites;
    for (const Site& site : vector_sites(run)) {
        if (site.component == *subject.stream) sites.push_back(site);
    }
    if (sites.size() < 2) {
        paths.unmeasurable = alike.unmeasurable = "one layer only";
        return result;
    }
    if (subject.sample.size() < 8) {
        paths.unmeasurable = alike.unmeasurable = "too few rows";
        return result;
    }
    // All layers are in memory at once; of a large model fewer rows.
    const std::int64_t most = std::max<std::int64_t>(
        64, kStackBytes / (4 * run.d_model() * static_cast<std::int64_t>(sites.size())));
    std::vector<std::int64_t> rows;
    std::vector<std::int32_t> group;
    for (const std::int64_t i : sample_indices(subject.sample.size(), most, subject.options.seed)) {
        rows.push_back(subject.sample.rows[static_cast<std::size_t>(i)]);
        group.push_back(subject.sample.group[static_cast<std::size_t>(i)]);
    }
    std::vector<Matrix> layers(sites.size());
    progress.begin("reading the stream", static_cast<std::int64_t>(sites.size()), "layers");
    parallel_for(static_cast<std::int64_t>(sites.size()), subject.threads, [&](std::int64_t l) {
        if (progress.stop_requested()) throw Stopped("no measure was written");
        layers[static_cast<std::size_t>(l)] = read_sample(run, sites[static_cast<std::size_t>(l)], rows);
        run.release();
    });
    progress.end();

    const int n_groups = subject.sample.n_groups;
    const LayerPaths walk(layers, group, n_groups, subject.threads);
    paths.value = walk.common_direction();
    paths.detail["straightness"] = number(walk.shape().straightness);
    paths.detail["component"] = component_name(*subject.stream);
    const CkaTable table(layers, group, n_groups, subject.threads);
    const MatrixD cka = table.cka();
    const bool constant = !cka.allFinite();
    if (constant)
        alike.unmeasurable = "a layer is constant";
    else
        alike.value = neighbor_excess(cka, given_order(cka.rows()));
    if (sites.size() < kFewestLayers)
        alike.unmeasurable = "so few layers have too few orders for a null: 5 are needed";
    if (subject.effects_only) return result;

    paths.interval = bootstrap(n_groups, subject.bootstrap(),
                               [&](std::span<const double> w) { return walk.common_direction(w); });
    std::vector<double> shuffled(kPathShuffles);
    parallel_for(kPathShuffles, subject.threads, [&](std::int64_t s) {
        shuffled[static_cast<std::size_t>(s)] =
            shuffled_common_direction(layers, mix(subject.options.seed, static_cast<std::uint64_t>(s)));
    });
    paths.controls.push_back(
        {"layer order shuffled by token", *std::max_element(shuffled.begin(), shuffled.end())});
    const PathShape& shape = walk.shape();
    Json layer_names = Json::array();
    for (const Site& site : sites) layer_names.push_back(site.layer);
    result.tables["trajectories"] = {{"component", component_name(*subject.stream)},
                                     {"rows", rows.size()},
                                     {"layers", layer_names},
                                     {"step", numbers(shape.step)},
                                     {"relative_step", numbers(shape.relative_step)},
                                     {"turn", numbers(shape.turn)},
                                     {"common_direction", numbers(shape.common)},
                                     {"dispersion", numbers(shape.dispersion)},
                                     {"spread", numbers(shape.spread)},
                                     {"straightness", number(shape.straightness)}};
    Json matrix = Json::array();
    for (Eigen::Index i = 0; i < cka.rows(); ++i) {
        matrix.push_back(Json::array());
        for (Eigen::Index j = 0; j < cka.cols(); ++j) matrix.back().push_back(number(cka(i, j)));
    }
    result.tables["cka"] = {{"component", component_name(*subject.stream)},
                            {"rows", rows.size()},
                            {"layers", layer_names},
                            {"cka", matrix}};
    if (constant || sites.size() < kFewestLayers) return result;
    alike.interval = bootstrap(n_groups, subject.bootstrap(), [&](std::span<const double> w) {
        return neighbor_excess(table.cka(w), given_order(cka.rows()));
    });
    std::vector<double> orders;
    for (std::uint64_t s = 0; s < kOrderShuffles; ++s)
        orders.push_back(neighbor_excess(cka, permutation(cka.rows(), mix(subject.options.seed, 0xcca, s))));
    alike.controls.push_back({"layer order shuffled", quantile(orders, 0.975)});
    double near = 0;
    for (Eigen::Index i = 0; i + 1 < cka.rows(); ++i)
        near += cka(i, i + 1) / static_cast<double>(cka.rows() - 1);
    alike.detail["neighbors"] = number(near);
    return result;
}

}  // namespace tomograph
