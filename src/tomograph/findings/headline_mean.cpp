#include "tomograph/findings/headline_mean.h"

#include <cmath>

namespace tomograph {

Effect HeadlineMean::effect(const char* control) const {
    Effect effect;
    if (effect.unmeasurable = subject_.lacks_stream(); !effect.unmeasurable.empty()) return effect;
    std::vector<double> values, nulls, means;
    std::vector<int> layers;
    for (std::size_t i = 0; i < layers_.size(); ++i) {
        const Layer& layer = layers_[i];
        if (!subject_.headline(subject_.sites[i]) || std::isnan(layer.value)) continue;
        layers.push_back(subject_.sites[i].layer);
        values.push_back(layer.value);
        nulls.push_back(layer.null);
        if (means.empty()) means.assign(layer.replicates.size(), 0.0);
        for (std::size_t r = 0; r < layer.replicates.size(); ++r) means[r] += layer.replicates[r];
    }
    if (values.empty()) {
        effect.unmeasurable = "the rows of the middle layers are too few, or all equal";
        return effect;
    }
    for (double& mean : means) mean /= static_cast<double>(values.size());
    effect.value = mean_of(values);
    effect.detail["layers"] = layers;
    effect.detail["by_layer"] = numbers(values);
    if (subject_.effects_only) return effect;
    effect.controls.push_back({control, mean_of(nulls)});
    if (subject_.sample.n_groups >= kFewestGroups)
        effect.interval = Interval{quantile(means, 0.025), quantile(means, 0.975)};
    return effect;
}

Chart component_chart(const Subject& subject, const std::vector<double>& values, Chart chart,
                      const std::string& y_label) {
    using enum Component;
    chart.shape = LayerChart{.y_label = y_label,
                             .lines = subject.lines_by_layer(values, {attn_out, mlp_out, resid_post})};
    return chart;
}

std::optional<Interval> percentile_interval(const Subject& subject, const std::vector<double>& replicates) {
    if (subject.sample.n_groups < kFewestGroups || replicates.size() < 10) return std::nullopt;
    return Interval{quantile(replicates, 0.025), quantile(replicates, 0.975)};
}

}  // namespace tomograph
