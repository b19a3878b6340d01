#include "tomograph/model/sum_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "tomograph/base/error.h"

namespace tomograph {
namespace {

/// Below this norm a row's own rounding is lost among numbers too small to be exact.
constexpr double kTinyRow = 1e-30;

double norm_of(const float* row, std::int64_t width) {
    double sum = 0;
    for (std::int64_t i = 0; i < width; ++i) sum += static_cast<double>(row[i]) * row[i];
    return std::sqrt(sum);
}

}  // namespace

SumCheck::SumCheck(const std::vector<SiteShape>& sites, std::string model)
    : sites_(sites), model_(std::move(model)) {
    for (std::size_t i = 0; i < sites.size(); ++i) {
        const Site& site = sites[i].site;
        const Component component = site.component;
        const bool part = component == Component::resid_pre || component == Component::attn_out ||
                          component == Component::resid_mid || component == Component::mlp_out;
        const bool sum = component == Component::resid_mid || component == Component::resid_post;
        if (part) parts.push_back(i);
        if (sum) sums.push_back(i);
        layers_[site.layer].expected += static_cast<std::size_t>(part) + static_cast<std::size_t>(sum);
    }
}

void SumCheck::take_part(std::size_t which, std::int64_t first_token, std::int64_t n_tokens,
                         const float* data) {
    take(parts[which], layers_[sites_[parts[which]].site.layer].parts, first_token, n_tokens, data);
}

void SumCheck::take_sum(std::size_t which, std::int64_t first_token, std::int64_t n_tokens,
                        const float* data) {
    take(sums[which], layers_[sites_[sums[which]].site.layer].sums, first_token, n_tokens, data);
}

void SumCheck::take(std::size_t site, std::map<Component, Values>& values, std::int64_t first_token,
                    std::int64_t n_tokens, const float* data) {
    const SiteShape& shape = sites_[site];
    values[shape.site.component].assign(data, data + n_tokens * shape.width());
    Layer& layer = layers_[shape.site.layer];
    if (layer.parts.size() + layer.sums.size() < layer.expected) return;
    check(shape.site.layer, first_token, n_tokens);
    layer.parts.clear();
    layer.sums.clear();
}

void SumCheck::check(int layer, std::int64_t first_token, std::int64_t n_tokens) {
    const auto& there = layers_[layer].parts;
    std::vector<Component> added{Component::resid_pre};
    if (there.contains(Component::attn_out)) added.push_back(Component::attn_out);
    if (there.contains(Component::resid_mid)) {
        compare(layer, added, Component::resid_mid, first_token, n_tokens);
        added = {Component::resid_mid};
    }
    if (there.contains(Component::mlp_out)) added.push_back(Component::mlp_out);
    compare(layer, added, Component::resid_post, first_token, n_tokens);
}

void SumCheck::compare(int layer, const std::vector<Component>& added, Component sum,
                       std::int64_t first_token, std::int64_t n_tokens) const {
    const Layer& values = layers_.at(layer);
    const Values& sums_up = values.sums.at(sum);
    const auto width = static_cast<std::int64_t>(sums_up.size()) / n_tokens;
    double worst = 0;
    std::int64_t worst_token = 0;
    for (std::int64_t token = 0; token < n_tokens; ++token) {
        const auto row = [&](const Values& all) { return all.data() + token * width; };
        const auto refuse_unless_finite = [&](double norm, Component component) {
            if (std::isfinite(norm)) return;
            throw Error(fmt::format("{} computes what is no number", model_),
                        fmt::format("{} of token {} is infinite or not a number",
                                    Site{component, layer}.name(), first_token + token),
                        "its weights are damaged or too large for the precision that it runs with; try "
                        "--exact, or another file");
        };
        // A sum is rounded by what it is made of, which may be far larger than it.
        double size = kTinyRow;
        for (const Component component : added) {
            const double norm = norm_of(row(values.parts.at(component)), width);
            refuse_unless_finite(norm, component);
            size = std::max(size, norm);
        }
        const double norm = norm_of(row(sums_up), width);
        refuse_unless_finite(norm, sum);
        size = std::max(size, norm);
        double difference = 0;
        for (std::int64_t i = 0; i < width; ++i) {
            double total = 0;
            for (const Component component : added) total += row(values.parts.at(component))[i];
            difference += (total - row(sums_up)[i]) * (total - row(sums_up)[i]);
        }
        if (const double error = std::sqrt(difference) / size; error > worst) {
            worst = error;
            worst_token = first_token + token;
        }
    }
    if (worst < kTolerance) return;
    throw Error(
        fmt::format("the residual stream of {} does not add up", model_),
        fmt::format("{}: relative error {:.1e} at token {}", Site{sum, layer}.name(), worst, worst_token),
        "this architecture writes to the stream in a way that tomograph cannot name yet");
}

}  // namespace tomograph
