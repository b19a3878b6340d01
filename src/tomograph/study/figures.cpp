#include "tomograph/study/figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "tomograph/base/error.h"
#include "tomograph/figures/coloring.h"
#include "tomograph/figures/histogram.h"
#include "tomograph/figures/lines.h"
#include "tomograph/figures/pair_grid.h"
#include "tomograph/figures/paths.h"
#include "tomograph/figures/scatter.h"

namespace tomograph {
namespace {

constexpr const char* kAttentionMlp = "Attention and MLP outputs";
constexpr const char* kLayers = "Paths through the layers";
constexpr const char* kPositions = "Positions";
constexpr const char* kNorms = "Norms";
constexpr const char* kVocabulary = "Vocabulary";
constexpr const char* kRepeat = "One token repeated";

/// Rows that a cloud is fitted on and drawn with.
constexpr std::int64_t kCloudRows = 100'000;
/// Points that the UMAP figure shows: fitted on kCloudRows of them.
constexpr std::int64_t kMapRows = 500'000;

bool has_component(const Run& run, Component component) {
    return std::any_of(run.sites().begin(), run.sites().end(),
                       [&](const SiteShape& s) { return s.site.component == component; });
}

std::string title(const std::string& what, const Run& run, const Selection& selection) {
    return fmt::format("{}\n{}\n{}", what, run_text(run), selection_text(run, selection));
}

std::vector<double> variance_of(const Projection& projection) {
    return projection.info.at("explained_variance_ratio").get<std::vector<double>>();
}

std::string explained(const Projection& projection, std::size_t n) {
    double sum = 0;
    const auto ratio = variance_of(projection);
    for (std::size_t i = 0; i < std::min(n, ratio.size()); ++i) sum += ratio[i];
    return fmt::format("{} components explain {:.1f} % of the variance", n, 100 * sum);
}

std::string constant_text(const Projection& projection) {
    return fmt::format(
        "constant: the variance is {:.1e} of the mean square, which is rounding, so there is no structure to "
        "draw",
        projection.info.at("relative_variance").get<double>());
}

/// Mean norm by position, over sequences.
std::vector<double> mean_norms(const Run& run, const Site& site) {
    const auto norms = run.norms(site);
    std::vector<double> sums(static_cast<std::size_t>(run.length())), counts(sums.size());
    for (std::size_t t = 0; t < norms.size(); ++t) {
        const auto p = static_cast<std::size_t>(run.tokens().position[t]);
        sums[p] += norms[t];
        ++counts[p];
    }
    for (std::size_t p = 0; p < sums.size(); ++p)
        sums[p] = counts[p] > 0 ? sums[p] / counts[p] : std::nan("");
    return sums;
}

}  // namespace

void StudyFigures::add(const std::string& file, const std::string& group, const std::string& caption,
                       const std::function<void(const std::filesystem::path& file)>& draw) {
    try {
        draw(study_ / study_figure(file));
        figures_.push_back({study_figure(file), group, caption});
    } catch (const Stopped&) {
        throw;
    } catch (const std::exception& error) {
        failed_.push_back(fmt::format("{} was not drawn: {}", study_figure(file), error.what()));
    }
}

void StudyFigures::say(const std::string& group, const std::string& text) {
    figures_.push_back({"", group, text});
}

void StudyFigures::text(const Run& run) {
    attention_against_mlp(run);
    attention_against_mlp_umap(run);
    layer_paths(run);
    position_structure(run, "positions", kPositions);
    norm_by_layer(run);
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
                    [&](const auto& to) {
                        draw_scatter(to, projection.points, color_rows(run, projection, ColorBy::component),
                                     scatter);
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
                    "{} nearest neighbours kept. Distances between far clusters mean nothing.",
                    projection.info.at("n_fitted").get<std::int64_t>(), projection.points.rows(),
                    projection.info.at("trustworthiness").get<double>(),
                    100 * projection.info.at("knn_recall").get<double>(),
                    projection.info.at("quality_k").get<int>()),
        [&](const auto& to) {
            draw_scatter(to, projection.points, color_rows(run, projection, ColorBy::component), scatter);
        });
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
            [&](const auto& to) { draw_paths(to, projection.points, projection.labels.layer, paths); });
    }
}

void StudyFigures::position_structure(const Run& run, const std::string& prefix, const std::string& group,
                                      const std::string& label) {
    if (run.length() < 8) return;
    for (const bool unit : {false, true}) {
        ProjectionOptions options{.dims = 6, .threads = threads_};
        options.selection.components = {Component::resid_post};
        options.selection.layers = middle_layers(run.n_layers());
        options.selection.positions = Range{1, {}};
        options.selection.normalize = unit ? Normalize::unit : Normalize::none;
        options.selection.mean_samples = options.selection.mean_layers = true;
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
            [&](const auto& to) { draw_pair_grid(to, projection.points, coloring, grid); });
    }
}

void StudyFigures::norm_by_layer(const Run& run) {
    const bool first_apart = run.length() > 1;
    std::vector<Series> series;
    for (const Component component :
         {Component::attn_out, Component::mlp_out, Component::resid_mid, Component::resid_post}) {
        Series rest{.name = std::string(component_name(component)),
                    .color = component_color(component_name(component)),
                    .markers = true};
        Series first{.name = rest.name + ", first token", .color = rest.color, .dash = Dash::dashed};
        for (const SiteShape& site : run.sites()) {
            if (site.site.component != component) continue;
            const auto norms = run.norms(site.site);
            double sums[2] = {0, 0}, counts[2] = {0, 0};
            for (std::size_t t = 0; t < norms.size(); ++t) {
                const int which = run.tokens().position[t] == 0 && first_apart ? 0 : 1;
                sums[which] += norms[t];
                ++counts[which];
            }
            rest.x.push_back(site.site.layer);
            rest.y.push_back(counts[1] > 0 ? sums[1] / counts[1] : std::nan(""));
            first.x.push_back(site.site.layer);
            first.y.push_back(counts[0] > 0 ? sums[0] / counts[0] : std::nan(""));
        }
        if (rest.x.empty()) continue;
        series.push_back(std::move(rest));
        if (first_apart) series.push_back(std::move(first));
    }
    if (series.empty()) return;
    LinesOptions lines{.x_label = "layer", .y_label = "mean norm", .log_y = true, .whole_x = true};
    lines.figure.title = "Norm by layer\n" + run_text(run) + "\nfirst token apart, dashed";
    add("norm-by-layer", kNorms,
        "Mean norm of what each block writes and of the stream, by layer; the first token apart.",
        [&](const auto& to) { draw_lines(to, series, lines); });
}

void StudyFigures::norm_by_position(const Run& run, const std::string& file, const std::string& group,
                                    const std::string& what) {
    if (run.length() < 2 || !has_component(run, Component::resid_post)) return;
    // A few layers through the depth: more lines than that cannot be told apart.
    std::vector<int> layers{0, run.n_layers() / 4, run.n_layers() / 2, 3 * run.n_layers() / 4,
                            run.n_layers() - 1};
    layers.erase(std::unique(layers.begin(), layers.end()), layers.end());
    std::vector<Series> series;
    for (const int layer : layers) {
        Series line{.name = fmt::format("layer {}", layer)};
        const double t = run.n_layers() > 1 ? static_cast<double>(layer) / (run.n_layers() - 1) : 0.0;
        line.color = map_color(ColorMap::sequential, 0.9 * t);
        const auto norms = mean_norms(run, {Component::resid_post, layer});
        for (std::size_t p = 0; p < norms.size(); ++p) {
            line.x.push_back(static_cast<double>(p));
            line.y.push_back(norms[p]);
        }
        series.push_back(std::move(line));
    }
    LinesOptions lines{
        .x_label = "position", .y_label = "mean norm of resid_post", .log_y = true, .whole_x = true};
    lines.figure.title = what + "\n" + run_text(run);
    const auto ratio = first_token_ratio(run);
    add(file, group,
        ratio ? fmt::format("The first token's norm is {:.1f} times the median of the others at layer {}.",
                            ratio->ratio, ratio->site.layer)
              : "",
        [&](const auto& to) { draw_lines(to, series, lines); });
}

void StudyFigures::repeat(const Run& run) {
    norm_by_position(run, "repeat-norm-by-position", kRepeat, "Norm by position, one token repeated");
    position_structure(run, "repeat-positions", kRepeat);
}

void StudyFigures::vocabulary(const Run& run) {
    const Site last{Component::resid_post, run.n_layers() - 1};
    if (run.has_site(last)) {
        const Range middle = middle_layers(run.n_layers());
        std::vector<float> sums;
        std::int64_t n_layers = 0;
        // The last token of each sequence is the one that was looked at; a start token may stand before it.
        const std::int32_t position = static_cast<std::int32_t>(run.length() - 1);
        for (const SiteShape& site : run.sites()) {
            if (site.site.component != Component::resid_post ||
                !middle.contains(site.site.layer, run.n_layers()))
                continue;
            const auto norms = run.norms(site.site);
            std::size_t i = 0;
            for (std::size_t t = 0; t < norms.size(); ++t) {
                if (run.tokens().position[t] != position) continue;
                if (i == sums.size()) sums.push_back(0);
                sums[i++] += norms[t];
            }
            ++n_layers;
        }
        for (float& sum : sums) sum /= static_cast<float>(n_layers);
        HistogramOptions histogram{.x_label = "mean norm of resid_post over the middle layers",
                                   .y_label = "tokens"};
        histogram.log_y = true;
        histogram.figure.title = "Norms over the vocabulary\n" + run_text(run);
        add("vocabulary-norms", kVocabulary,
            fmt::format("{} tokens, each read alone; 150 bins, logarithmic counts.", sums.size()),
            [&](const auto& to) { draw_histogram(to, {{.values = sums}}, histogram); });
    }
    if (!run.has_vectors({Component::embed})) return;
    ProjectionOptions options{.dims = 6, .threads = threads_};
    options.selection.components = {Component::embed};
    options.selection.positions = Range{run.length() - 1, {}};
    const Projection projection = project_pca(run, "token-embeddings", options, progress_);
    save_projection(run, projection);
    for (const int dims : {2, 3}) {
        if (projection.constant() || projection.points.cols() < dims) continue;
        ScatterOptions scatter{.dims = dims};
        for (int axis = 0; axis < dims; ++axis)
            scatter.labels[static_cast<std::size_t>(axis)] = axis_label(projection, axis);
        scatter.figure.title = title("Token embeddings", run, options.selection);
        const std::string file = fmt::format("token-embeddings-{}d", dims);
        add(file, kVocabulary,
            fmt::format("Token embeddings coloured by norm; {}.",
                        explained(projection, static_cast<std::size_t>(dims))),
            [&](const auto& to) {
                draw_scatter(to, projection.points, color_rows(run, projection, ColorBy::norm), scatter);
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
                [&](const auto& to) { draw_pair_grid(to, projection.points, by_position, grid); });
            ScatterOptions scatter{.dims = 3, .connect = true};
            for (int axis = 0; axis < 3; ++axis)
                scatter.labels[static_cast<std::size_t>(axis)] = axis_label(projection, axis);
            scatter.figure.title = title("Learned position embeddings", run, options.selection);
            add("position-table-3d", kPositions,
                fmt::format("The learned position table, consecutive positions joined; {}.",
                            explained(projection, 3)),
                [&](const auto& to) { draw_scatter(to, projection.points, by_position, scatter); });
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
