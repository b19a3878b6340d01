#include "tomograph/study/figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "tomograph/base/error.h"
#include "tomograph/figures/coloring.h"
#include "tomograph/figures/pair_grid.h"
#include "tomograph/figures/paths.h"
#include "tomograph/figures/scatter.h"
#include "tomograph/findings/sample.h"
#include "tomograph/statistics/trajectories.h"
#include "tomograph/study/figure_words.h"

namespace tomograph {
namespace {

/// Rows that a cloud is fitted on and drawn with.
constexpr std::int64_t kCloudRows = 100'000;
/// Points that the UMAP figure shows: fitted on kCloudRows of them.
constexpr std::int64_t kMapRows = 200'000;
/// Orders that a way through the layers is held against.
constexpr int kOrders = 999;

/// The stream after each of a block's additions, as far as it has vectors in the middle layers at least.
std::vector<Component> stream_states(const Run& run) {
    const int middle = headline_layers(run.n_layers()).front();
    std::vector<Component> states;
    for (const Component component : {Component::resid_mid, Component::resid_post}) {
        if (run.has_vectors({component, middle})) states.push_back(component);
    }
    return states;
}

/// How many neighbours are of the point's own component and layer.
std::string own_sites_text(const Projection& projection) {
    const auto own = projection.info.find("neighbors_of_own_site");
    if (own == projection.info.end()) return "";
    return fmt::format(
        " Of a point's neighbours {:.0f} % are of its own component and layer on the map, {:.0f} % in the "
        "full space; {:.0f} % would be by chance.",
        100 * own->at("map").get<double>(), 100 * own->at("space").get<double>(),
        100 * own->at("chance").get<double>());
}

/// Rows as the network has them, block by block: a projection's stand component by component.
std::vector<std::int64_t> network_order(const RowLabels& labels) {
    std::vector<std::int64_t> order(static_cast<std::size_t>(labels.size()));
    std::iota(order.begin(), order.end(), std::int64_t{0});
    std::ranges::stable_sort(order, {}, [&](std::int64_t row) {
        const auto i = static_cast<std::size_t>(row);
        return std::pair(labels.layer[i], labels.component[i]);
    });
    return order;
}

}  // namespace

void StudyFigures::add(const std::string& file, const std::string& group, const std::string& caption,
                       std::function<void(const std::filesystem::path& file)> draw) {
    while (std::ssize(drawing_) >= threads_) collect();
    drawing_.push_back(
        {figures_.size(), std::async(std::launch::async, std::move(draw), study_ / study_figure(file))});
    figures_.push_back({study_figure(file), group, caption});
}

/// The figure that has been drawn for longest.
void StudyFigures::collect() {
    Drawing first = std::move(drawing_.front());
    drawing_.pop_front();
    Figure& figure = figures_[first.figure];
    try {
        first.done.get();
    } catch (const Stopped&) {
        throw;
    } catch (const std::exception& error) {
        failed_.push_back(fmt::format("{} was not drawn: {}", figure.file, error.what()));
        figure = {};
    }
}

void StudyFigures::finish() {
    while (!drawing_.empty()) collect();
    std::erase_if(figures_, [](const Figure& figure) { return figure.group.empty(); });
}

void StudyFigures::say(const std::string& group, const std::string& text) {
    figures_.push_back({"", group, text});
}

void StudyFigures::text(const Run& run, const Run* twin) {
    attention_against_mlp(run);
    attention_against_mlp_umap(run);
    layer_paths(run);
    layerwise(run);
    position_structure(run, "positions", kPositions);
    pooled_positions(run, "positions", kPositions);
    norm_by_layer(run, twin);
    norm_by_position(run, "norm-by-position", kNorms, "Norm by position");
}

void StudyFigures::attention_against_mlp(const Run& run) {
    if (!has_component(run, Component::attn_out) || !has_component(run, Component::mlp_out)) return;
    for (const bool mean : {false, true}) {
        for (const bool unit : {false, true}) {
            const std::string name =
                fmt::format("attention-mlp-{}{}", unit ? "unit" : "raw", mean ? "-mean" : "");
            ProjectionOptions options{.dims = 6, .threads = threads_};
            options.selection.components = {Component::attn_out, Component::mlp_out};
            options.selection.layers = middle_layers(run.n_layers());
            options.selection.positions = Range{run.length() > 1 ? 1 : 0, {}};
            options.selection.normalize = unit ? Normalize::unit : Normalize::none;
            options.selection.mean_samples = mean;
            options.selection.rows = kCloudRows;
            options.selection.seed = seed_;
            const Projection projection = project_pca(run, name, options, progress_);
            save_projection(run, projection);
            if (!unit && !mean && projection.pca->n_components() >= 2) {
                variance_explained_ = projection.pca->explained_variance_ratio.head(2).sum();
            }
            for (const int dims : {2, 3}) {
                if (projection.points.cols() < dims) continue;
                ScatterOptions scatter{.dims = dims, .show_means = true};
                for (int axis = 0; axis < dims; ++axis)
                    scatter.labels[static_cast<std::size_t>(axis)] = axis_label(projection, axis);
                scatter.figure.title = title("Attention and MLP outputs", run, options.selection);
                const std::string file = fmt::format("{}-{}d", name, dims);
                add(file, kAttentionMlp,
                    fmt::format("{}; {}. {} points.", selection_text(run, options.selection),
                                explained(projection, static_cast<std::size_t>(dims)),
                                projection.points.rows()),
                    [points = projection.points, scatter,
                     coloring = color_rows(run, projection, ColorBy::component)](const auto& to) {
                        draw_scatter(to, points, coloring, scatter);
                    });
            }
        }
    }
}

void StudyFigures::attention_against_mlp_umap(const Run& run) {
    if (!has_component(run, Component::attn_out) || !has_component(run, Component::mlp_out)) return;
    UmapProjectionOptions options{.fit_rows = kCloudRows};
    options.selection.components = {Component::attn_out, Component::mlp_out};
    options.selection.layers = middle_layers(run.n_layers());
    options.selection.positions = Range{run.length() > 1 ? 1 : 0, {}};
    options.selection.rows = kMapRows;
    options.selection.seed = seed_;
    options.umap.seed = seed_;
    options.umap.threads = threads_;
    const Projection projection = project_umap(run, "attention-mlp-umap", options, progress_);
    save_projection(run, projection);
    if (projection.constant())
        return say(kAttentionMlp,
                   fmt::format("{}: {}.", selection_text(run, options.selection), constant_text(projection)));
    ScatterOptions scatter{.dims = 2, .labels = {"UMAP 1", "UMAP 2", ""}};
    scatter.figure.title = title("Attention and MLP outputs, UMAP by cosine", run, options.selection);
    add("attention-mlp-umap", kAttentionMlp,
        fmt::format("UMAP by cosine: fitted on {} vectors, {} drawn; trustworthiness {:.3f}, {:.0f} % of the "
                    "{} nearest neighbours kept. Distances between far clusters mean nothing.{}",
                    projection.info.at("n_fitted").get<std::int64_t>(), projection.points.rows(),
                    projection.info.at("trustworthiness").get<double>(),
                    100 * projection.info.at("knn_recall").get<double>(),
                    projection.info.at("quality_k").get<int>(), own_sites_text(projection)),
        [points = projection.points, scatter, coloring = color_rows(run, projection, ColorBy::component)](
            const auto& to) { draw_scatter(to, points, coloring, scatter); });
}

void StudyFigures::layer_paths(const Run& run) {
    if (run.n_layers() < 2) return;
    ProjectionOptions options{.dims = 3, .threads = threads_};
    options.selection.components = {Component::resid_post};
    options.selection.positions = Range{run.length() > 1 ? 1 : 0, {}};
    options.selection.normalize = Normalize::unit;
    options.selection.mean_samples = true;
    const Projection projection = project_pca(run, "layer-paths", options, progress_);
    save_projection(run, projection);
    for (const int dims : {2, 3}) {
        if (projection.constant() || projection.points.cols() < dims) continue;
        PathsOptions paths{.dims = dims};
        for (int axis = 0; axis < dims; ++axis)
            paths.labels[static_cast<std::size_t>(axis)] = axis_label(projection, axis);
        paths.figure.title = title("The residual stream, layer by layer", run, options.selection);
        const std::string file = fmt::format("layer-paths-{}d", dims);
        add(file, kLayers,
            fmt::format("{}; {}. A point is one position; the line joins the means of the layers.",
                        selection_text(run, options.selection),
                        explained(projection, static_cast<std::size_t>(dims))),
            [points = projection.points, layer = projection.labels.layer, paths](const auto& to) {
                draw_paths(to, points, layer, paths);
            });
    }
}

/// Every state of the stream as one point, with the first token and without it: its way is held against the
/// same points in other orders.
void StudyFigures::layerwise(const Run& run) {
    if (run.n_layers() < 2 || stream_states(run).empty()) return;
    for (const bool first : {true, false}) {
        if (!first && run.length() < 2) continue;
        ProjectionOptions options{.dims = 3, .threads = threads_};
        options.selection.components = stream_states(run);
        options.selection.positions = Range{first ? 0 : 1, {}};
        options.selection.normalize = Normalize::unit;
        options.selection.mean_samples = options.selection.mean_positions = true;
        const std::string name = first ? "layerwise" : "layerwise-rest";
        const Projection projection = project_pca(run, name, options, progress_);
        save_projection(run, projection);
        if (projection.constant() || projection.points.cols() < 2) continue;
        const auto order = network_order(projection.labels);
        Matrix points(projection.points.rows(), projection.points.cols());
        Values color{.label = "layer", .whole = true};
        for (std::size_t i = 0; i < order.size(); ++i) {
            points.row(static_cast<Eigen::Index>(i)) = projection.points.row(order[i]);
            color.of_point.push_back(
                static_cast<float>(projection.labels.layer[static_cast<std::size_t>(order[i])]));
        }
        // In the full space, not in the picture's plane.
        const SelectedRows rows = select(run, options.selection);
        Matrix all(rows.n_rows(), rows.dim());
        rows.read(0, rows.n_rows(), all.data());
        const WayLength way = way_length(all(order, Eigen::all).cast<double>(), kOrders, seed_);
        const double share = way.length / way.shuffled;
        numbers_[first ? "layerwise" : "layerwise_rest"] = {
            {"way_over_shuffled", share},
            {"shortest_over_shuffled", way.shortest / way.shuffled},
            {"p", way.p}};
        ScatterOptions scatter{.dims = 2, .connect = true};
        for (int axis = 0; axis < 2; ++axis)
            scatter.labels[static_cast<std::size_t>(axis)] = axis_label(projection, axis);
        scatter.figure.title = title("The stream after each addition", run, options.selection);
        add(name + "-2d", kLayers,
            fmt::format("{}; {}. A point is the stream after one addition, joined in the network's order. In "
                        "the full space that way is {:.2f} times as long as through the same points in "
                        "shuffled orders, of which 97.5 % take more than {:.2f} (p = {:.2g}).",
                        selection_text(run, options.selection), explained(projection, 2), share,
                        way.shortest / way.shuffled, way.p),
            [points, color, scatter](const auto& to) { draw_scatter(to, points, color, scatter); });
    }
}

void StudyFigures::position_structure(const Run& run, const std::string& prefix, const std::string& group,
                                      const std::string& label) {
    draw_positions(run, {Component::resid_post}, prefix, group, label);
}

void StudyFigures::pooled_positions(const Run& run, const std::string& prefix, const std::string& group) {
    const std::vector<Component> states = stream_states(run);
    if (states.size() > 1) draw_positions(run, states, prefix + "-pooled", group, "");
}

void StudyFigures::draw_positions(const Run& run, const std::vector<Component>& components,
                                  const std::string& prefix, const std::string& group,
                                  const std::string& label) {
    if (run.length() < 8) return;
    for (const bool unit : {false, true}) {
        ProjectionOptions options{.dims = 6, .threads = threads_};
        options.selection.components = components;
        options.selection.layers = middle_layers(run.n_layers());
        options.selection.positions = Range{1, {}};
        options.selection.normalize = unit ? Normalize::unit : Normalize::none;
        options.selection.mean_samples = options.selection.mean_layers = true;
        options.selection.mean_components = components.size() > 1;
        if (!label.empty()) options.selection.labels = {label};
        const std::string name = fmt::format("{}-{}", prefix, unit ? "unit" : "raw");
        const Projection projection = project_pca(run, name, options, progress_);
        save_projection(run, projection);
        if (projection.constant()) {
            say(group, fmt::format("{}, {}: {}.", run.prompts(), selection_text(run, options.selection),
                                   constant_text(projection)));
            continue;
        }
        PairGridOptions grid{
            .components = static_cast<int>(std::min<Eigen::Index>(6, projection.points.cols())),
            .variance = variance_of(projection)};
        if (grid.components < 2) continue;
        grid.figure.title = title("Position structure of the residual stream", run, options.selection);
        const auto coloring = std::get<Values>(color_rows(run, projection, ColorBy::position));
        add(name, group,
            fmt::format("{}; {}.", selection_text(run, options.selection), explained(projection, 6)),
            [points = projection.points, coloring, grid](const auto& to) {
                draw_pair_grid(to, points, coloring, grid);
            });
    }
}

void StudyFigures::positions(const Run& run) {
    if (has_component(run, Component::pos_embed)) {
        ProjectionOptions options{.dims = 6, .threads = threads_};
        options.selection.components = {Component::pos_embed};
        options.selection.positions = Range{1, {}};
        const Projection projection = project_pca(run, "position-table", options, progress_);
        save_projection(run, projection);
        if (projection.constant()) {
            say(kPositions, "The position table is " + constant_text(projection) + ".");
        } else if (projection.points.cols() >= 3) {
            const auto by_position = std::get<Values>(color_rows(run, projection, ColorBy::position));
            PairGridOptions grid{
                .components = static_cast<int>(std::min<Eigen::Index>(6, projection.points.cols())),
                .variance = variance_of(projection)};
            grid.figure.title = title("Learned position embeddings", run, options.selection);
            add("position-table", kPositions,
                fmt::format("The learned position table; {}.", explained(projection, 6)),
                [points = projection.points, by_position, grid](const auto& to) {
                    draw_pair_grid(to, points, by_position, grid);
                });
            ScatterOptions scatter{.dims = 3, .connect = true};
            for (int axis = 0; axis < 3; ++axis)
                scatter.labels[static_cast<std::size_t>(axis)] = axis_label(projection, axis);
            scatter.figure.title = title("Learned position embeddings", run, options.selection);
            add("position-table-3d", kPositions,
                fmt::format("The learned position table, consecutive positions joined; {}.",
                            explained(projection, 3)),
                [points = projection.points, by_position, scatter](const auto& to) {
                    draw_scatter(to, points, by_position, scatter);
                });
        }
    }
    // A rotary model's run holds two experiments, told apart by their labels.
    if (run.labels().empty()) position_structure(run, "positions-only", kPositions);
    for (const std::string& label : run.labels()) {
        std::string name = label;
        std::replace(name.begin(), name.end(), ' ', '-');
        position_structure(run, "positions-" + name, kPositions, label);
    }
}

}  // namespace tomograph
