#include "tomograph/findings/headline_mean.h"

#include <cmath>

#include "tomograph/statistics/inference.h"

namespace tomograph {

Effect HeadlineMean::effect(const char* control) const {
    Effect effect;
    if (effect.unmeasurable = subject_.lacks_stream(); !effect.unmeasurable.empty()) return effect;
    const auto headline = [this](const Site& site) { return subject_.headline(site); };
    return mean_over_layers(subject_, layers_, headline, kTooFewRows, control);
}

Effect mean_over_layers(const Subject& subject, std::span<const HeadlineMean::Layer> of_site,
                        const std::function<bool(const Site&)>& counts, const char* none,
                        const char* control) {
    Effect effect;
    std::vector<double> values, nulls, means;
    std::vector<int> layers;
    for (std::size_t i = 0; i < of_site.size(); ++i) {
        const HeadlineMean::Layer& layer = of_site[i];
        if (std::isnan(layer.value) || !counts(subject.sites[i])) continue;
        layers.push_back(subject.sites[i].layer);
        values.push_back(layer.value);
        nulls.push_back(layer.null);
        if (means.empty()) means.assign(layer.left_out.size(), 0.0);
        for (std::size_t g = 0; g < layer.left_out.size(); ++g) means[g] += layer.left_out[g];
    }
    if (values.empty()) {
        effect.unmeasurable = none;
        return effect;
    }
    for (double& mean : means) mean /= static_cast<double>(values.size());
    effect.value = mean_of(values);
    effect.detail["layers"] = layers;
    effect.detail["by_layer"] = numbers(values);
    if (subject.effects_only) return effect;
    effect.controls.push_back({control, mean_of(nulls)});
    effect.interval = jackknife_interval(effect.value, means);
    return effect;
}

Chart component_chart(const Subject& subject, const std::vector<double>& values, Chart chart,
                      const std::string& y_label) {
    using enum Component;
    chart.shape = LayerChart{.y_label = y_label,
                             .lines = subject.lines_by_layer(values, {attn_out, mlp_out, resid_post})};
    return chart;
}

std::vector<double> leave_out_groups(const Subject& subject,
                                     const std::function<double(std::span<const double>)>& statistic) {
    std::vector<double> values, weights(static_cast<std::size_t>(subject.sample.n_groups), 1.0);
    for (double& weight : weights) {
        weight = 0;
        values.push_back(statistic(weights));
        weight = 1;
    }
    return values;
}

std::optional<Interval> jackknife_interval(double value, const std::vector<double>& left_out) {
    if (static_cast<int>(left_out.size()) < kFewestGroups) return std::nullopt;
    return jackknife(value, left_out).interval;
}

std::optional<Interval> jackknife_interval(double value, const std::vector<double>& left_out,
                                           const std::vector<double>& pairs_out) {
    if (static_cast<int>(left_out.size()) < kFewestGroups) return std::nullopt;
    return jackknife(value, left_out, pairs_out).interval;
}

std::vector<double> leave_out_group_pairs(const Subject& subject,
                                          const std::function<double(std::span<const double>)>& statistic) {
    std::vector<double> values;
    leave_out_pairs(subject.sample.n_groups,
                    [&](std::span<const double> weights) { values.push_back(statistic(weights)); });
    return values;
}

void add_point(ChartLine& line, double layer, double value, const std::vector<double>& left_out) {
    const auto interval = jackknife_interval(value, left_out);
    line.layer.push_back(layer);
    line.value.push_back(value);
    line.low.push_back(interval ? interval->lo : kNoNumber);
    line.high.push_back(interval ? interval->hi : kNoNumber);
}

}  // namespace tomograph
