#include "tomograph/findings/subject.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tomograph/base/threads.h"
#include "tomograph/findings/position_numbers.h"
#include "tomograph/findings/stream_stack.h"
#include "tomograph/store/let_go.h"

namespace tomograph {
namespace {

bool writes(const Site& site) {
    return writes_to_stream(site.component);
}

std::string several_streams(const SiteShape& shape) {
    return fmt::format("the model has {} residual streams of {} side by side, and this is told of one",
                       shape.shape.front(), shape.shape.back());
}

}  // namespace

Subject::Subject(const Run& a_run, const MeasureOptions& an_options, bool only_effects, Progress& a_progress)
    : run(a_run),
      options(an_options),
      progress(a_progress),
      threads(thread_count(an_options.threads)),
      layers(headline_layers(a_run.n_layers())),
      effects_only(only_effects) {
    // Of a twin only what its effects need is read: the stream, and what the middle layers write.
    std::vector<Site> compared = compared_sites(run);
    std::erase_if(compared, [&](const Site& site) {
        return effects_only && !is_stream(site.component) && !(headline_layer(site.layer) && writes(site));
    });
    census = take_census(run, compared, threads);
    if (!effects_only) notes = census.notes;
    for (const Component component : {Component::resid_post, Component::resid_mid, Component::resid_pre}) {
        if (!stream && !layers_with(component).empty()) stream = component;
    }
    sites = vector_sites(run);
    std::erase_if(sites, [&](const Site& site) {
        return !census.has(site) || (effects_only && !headline(site) && !writes(site));
    });
    site_lines.resize(sites.size());
    sample = draw_sample(run, options.rows, options.seed, census.left_out);
}

Subject::~Subject() = default;

bool Subject::headline(const Site& site) const {
    return stream && site.component == *stream && headline_layer(site.layer);
}

bool Subject::headline_layer(int layer) const {
    return std::find(layers.begin(), layers.end(), layer) != layers.end();
}

std::vector<int> Subject::layers_with(Component component) const {
    std::vector<int> found;
    for (const int layer : layers) {
        if (census.has({component, layer})) found.push_back(layer);
    }
    return found;
}

std::string Subject::lacks_rows() const {
    if (census.sites.empty() && !census.notes.empty()) return "all vectors hold NaN or Inf";
    if (sample.size() > 0) return "";
    if (run.n_rows() > 0 && census.n_left_out() == run.n_rows())
        return "every row holds NaN or Inf, or is a sink";
    if (run.n_rows() > 0) return "vectors are kept at the first position only; capture more --positions";
    return run.complete() ? "the run keeps no vectors; " + way_to_vectors(run, "capture without --no-vectors")
                          : "the run is incomplete and holds no vectors";
}

std::string Subject::lacks(Component component) const {
    if (const std::string why = lacks_rows(); !why.empty()) return why;
    for (const Site& site : census.sites) {
        if (site.component == component) return "";
    }
    for (const SiteShape& shape : run.sites()) {
        if (shape.site.component != component || !run.has_vectors(shape.site)) continue;
        if (is_stream(component) && shape.width() != run.d_model()) return several_streams(shape);
        return fmt::format("the vectors of {} hold NaN or Inf", component_name(component));
    }
    return fmt::format("the run has no vectors of {}; capture with --components {}",
                       component_name(component), component_name(component));
}

std::string Subject::lacks_stream() const {
    if (const std::string why = lacks_rows(); !why.empty()) return why;
    if (stream) return "";
    for (const SiteShape& shape : run.sites()) {
        if (!is_stream(shape.site.component) || !headline_layer(shape.site.layer) ||
            !run.has_vectors(shape.site))
            continue;
        if (shape.width() != run.d_model()) return several_streams(shape);
        return fmt::format("the middle layers' vectors of {} hold NaN or Inf",
                           component_name(shape.site.component));
    }
    return "no middle layer has vectors of the residual stream; capture with --components resid_post";
}

const PositionNumbers& Subject::positions() {
    if (!positions_) positions_ = std::make_unique<PositionNumbers>(measure_positions(*this));
    return *positions_;
}

const StreamStack& Subject::stack() {
    if (!stack_) stack_ = std::make_unique<StreamStack>(read_stack(*this));
    return *stack_;
}

std::vector<ChartLine> Subject::lines_by_layer(const std::vector<double>& values,
                                               const std::vector<Component>& components) const {
    std::vector<ChartLine> lines;
    for (const Component component : components) {
        ChartLine line{.name = std::string(component_name(component)), .component = component};
        for (std::size_t i = 0; i < sites.size(); ++i) {
            if (sites[i].component != component || sites[i].layer < 0 || std::isnan(values[i])) continue;
            line.layer.push_back(sites[i].layer);
            line.value.push_back(values[i]);
        }
        if (!line.layer.empty()) lines.push_back(std::move(line));
    }
    return lines;
}

double mean_of(const std::vector<double>& values) {
    double sum = 0;
    for (const double value : values) sum += value;
    return values.empty() ? kNoNumber : sum / static_cast<double>(values.size());
}

}  // namespace tomograph
