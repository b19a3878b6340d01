#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tomograph/figures/coloring.h"
#include "tomograph/figures/histogram.h"
#include "tomograph/figures/lines.h"
#include "tomograph/figures/scatter.h"
#include "tomograph/statistics/statistics.h"
#include "tomograph/study/figure_words.h"
#include "tomograph/study/figures.h"

namespace tomograph {
namespace {

constexpr Color kTwinInk = 0x777777;

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

/// Where a site stands on an axis of layers: what comes before the first block at -1, what comes after the
/// last one behind it.
double place_of(const Run& run, const Site& site) {
    if (in_block(site.component)) return site.layer;
    return site.component == Component::ln_final ? run.n_layers() : -1;
}

/// A component's mean norm in network order, of the first tokens and of all others.
struct NormLines {
    std::vector<double> place, rest, first;
};

NormLines norm_lines(const Run& run, Component component, bool first_apart) {
    NormLines lines;
    for (const SiteShape& site : run.sites()) {
        if (site.site.component != component) continue;
        const auto norms = run.norms(site.site);
        double sums[2] = {0, 0}, counts[2] = {0, 0};
        for (std::size_t t = 0; t < norms.size(); ++t) {
            const int which = run.tokens().position[t] == 0 && first_apart ? 0 : 1;
            sums[which] += norms[t];
            ++counts[which];
        }
        lines.place.push_back(place_of(run, site.site));
        lines.rest.push_back(counts[1] > 0 ? sums[1] / counts[1] : std::nan(""));
        lines.first.push_back(counts[0] > 0 ? sums[0] / counts[0] : std::nan(""));
    }
    return lines;
}

/// Of each token that was read alone (or after the start token), its mean norm over the middle layers.
std::vector<float> token_norms(const Run& run) {
    const Range middle = middle_layers(run.n_layers());
    std::vector<float> sums;
    std::int64_t n_layers = 0;
    // The last token of each sequence is the one that was looked at; a start token may stand before it.
    const auto position = static_cast<std::int32_t>(run.length() - 1);
    for (const SiteShape& site : run.sites()) {
        if (site.site.component != Component::resid_post || !middle.contains(site.site.layer, run.n_layers()))
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
    return sums;
}

}  // namespace

void StudyFigures::norm_by_layer(const Run& run, const Run* twin) {
    const bool first_apart = run.length() > 1;
    const auto draw = [&](const std::string& file, const std::string& what,
                          const std::vector<Component>& components, const std::string& caption) {
        std::vector<Series> series;
        for (const Component component : components) {
            NormLines lines = norm_lines(run, component, first_apart);
            if (lines.place.empty()) continue;
            const Series rest{.name = std::string(component_name(component)),
                              .x = lines.place,
                              .y = std::move(lines.rest),
                              .color = component_color(component_name(component)),
                              .markers = true};
            series.push_back(rest);
            if (first_apart)
                series.push_back({.name = rest.name + ", first token",
                                  .x = lines.place,
                                  .y = std::move(lines.first),
                                  .color = rest.color,
                                  .dash = Dash::dashed});
            if (component != Component::resid_post || twin == nullptr) continue;
            NormLines untrained = norm_lines(*twin, component, first_apart);
            series.push_back({.name = "resid_post, untrained twin",
                              .x = untrained.place,
                              .y = std::move(untrained.rest),
                              .color = kTwinInk,
                              .dash = Dash::dotted});
            if (first_apart)
                series.push_back({.name = "its first token",
                                  .x = std::move(untrained.place),
                                  .y = std::move(untrained.first),
                                  .color = kTwinInk,
                                  .dash = Dash::dashed});
        }
        if (series.empty()) return;
        LinesOptions lines{.x_label = "layer", .y_label = "mean norm", .log_y = true, .whole_x = true};
        lines.figure.width = 4.4;  // for as many names
        lines.figure.title = what + "\n" + run_text(run) + "\nfirst token apart, dashed";
        add(file, kNorms, caption, [series, lines](const auto& to) { draw_lines(to, series, lines); });
    };
    draw("norm-by-layer", "Norm by layer",
         {Component::attn_out, Component::mlp_out, Component::resid_mid, Component::resid_post},
         "Mean norm of what each block writes and of the stream, by layer; the first token apart.");
    draw("norm-by-layer-in-between", "Norm of embeddings and norms by layer",
         {Component::embed, Component::pos_embed, Component::ln1, Component::ln2, Component::ln_final},
         "Mean norm of the embeddings (at -1), of what the norms before attention and MLP give, and of the "
         "last "
         "norm (behind the last layer); the first token apart.");
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
        [series, lines](const auto& to) { draw_lines(to, series, lines); });
}

void StudyFigures::repeat(const Run& run) {
    norm_by_position(run, "repeat-norm-by-position", kRepeat, "Norm by position, one token repeated");
    position_structure(run, "repeat-positions", kRepeat);
    pooled_positions(run, "repeat-positions", kRepeat);
}

void StudyFigures::vocabulary(const Run& run, const Run* other) {
    if (run.has_site({Component::resid_post, run.n_layers() - 1})) {
        std::vector<HistogramSample> samples;
        std::string medians;
        for (const Run* one : {&run, other}) {
            if (one == nullptr) continue;
            const std::string how = one->length() > 1 ? "after the start token" : "alone";
            samples.push_back({.name = other == nullptr ? "" : how, .values = token_norms(*one)});
            const auto& values = samples.back().values;
            medians += fmt::format("{}median {:.4g} {}", medians.empty() ? "" : ", ",
                                   median({values.begin(), values.end()}), how);
        }
        HistogramOptions histogram{.x_label = "mean norm of resid_post over the middle layers",
                                   .y_label = "tokens"};
        histogram.log_y = true;
        // Norms of first tokens and of others differ by orders of magnitude.
        histogram.log_x = other != nullptr;
        histogram.figure.title = "Norms over the vocabulary\n" + run_text(run);
        add("vocabulary-norms", kVocabulary,
            fmt::format("{} of {} tokens, each read by itself: {}; 150 bins, logarithmic counts.",
                        samples.front().values.size(), run.json().at("model").value("n_vocab", 0), medians),
            [samples, histogram](const auto& to) { draw_histogram(to, samples, histogram); });
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
            [points = projection.points, scatter, coloring = color_rows(run, projection, ColorBy::norm)](
                const auto& to) { draw_scatter(to, points, coloring, scatter); });
    }
}

}  // namespace tomograph
