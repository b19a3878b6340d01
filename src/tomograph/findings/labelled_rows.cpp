#include "tomograph/findings/labelled_rows.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "tomograph/base/random.h"
#include "tomograph/findings/subject.h"
#include "tomograph/statistics/clouds.h"

namespace tomograph {

bool has_labels(const Run& run) {
    std::set<std::int32_t> found;
    for (const std::int32_t label : run.tokens().label) {
        if (label >= 0) found.insert(label);
        if (found.size() > 1) return true;
    }
    return false;
}

std::vector<std::int32_t> shuffled_within(std::vector<std::int32_t> labels,
                                          std::span<const std::int32_t> group, std::uint64_t seed) {
    Rng rng(seed);
    for (std::size_t begin = 0; begin < labels.size();) {
        std::size_t end = begin;
        while (end < labels.size() && group[end] == group[begin]) ++end;
        for (std::size_t left = end - begin; left > 1; --left)
            std::swap(labels[begin + left - 1], labels[begin + rng.below(left)]);
        begin = end;
    }
    return labels;
}

LabelledRows::LabelledRows(const Subject& subject) {
    const TokenTable& tokens = subject.run.tokens();
    const SampleRows& sample = subject.sample;
    std::set<std::int32_t> found;
    for (std::int64_t i = 0; i < sample.size(); ++i) {
        const auto token = static_cast<std::size_t>(
            subject.run.rows()[static_cast<std::size_t>(sample.rows[static_cast<std::size_t>(i)])]);
        if (tokens.label[token] < 0) continue;
        found.insert(tokens.label[token]);
        place.push_back(i);
        label.push_back(tokens.label[token]);
        group.push_back(sample.group[static_cast<std::size_t>(i)]);
        position_.push_back(tokens.position[token]);
        sequence_.push_back(tokens.sequence[token]);
    }
    std::vector<std::int32_t> number(subject.run.labels().size(), -1);
    for (const std::int32_t name : found) {
        number[static_cast<std::size_t>(name)] = n_labels();
        names.push_back(subject.run.labels()[static_cast<std::size_t>(name)]);
    }
    for (std::int32_t& one : label) one = number[static_cast<std::size_t>(one)];
    if (n_labels() < 2)
        lacks = "fewer than two labels among the rows";
    else if (subject.sample.n_groups < 2)
        lacks = "one sequence only: labels are told apart in sequences that were not looked at";
    by_position_.resize(static_cast<std::size_t>(subject.run.n_sequences()));
    for (std::size_t t = 0; t < tokens.label.size(); ++t) {
        auto& labels = by_position_[static_cast<std::size_t>(tokens.sequence[t])];
        const auto at = static_cast<std::size_t>(tokens.position[t]);
        if (labels.size() <= at) labels.resize(at + 1, -1);
        if (tokens.label[t] >= 0) labels[at] = number[static_cast<std::size_t>(tokens.label[t])];
    }
}

Matrix LabelledRows::unit(const Matrix& sampled) const {
    Matrix rows(static_cast<Eigen::Index>(place.size()), sampled.cols());
    for (std::size_t i = 0; i < place.size(); ++i)
        rows.row(static_cast<Eigen::Index>(i)) = sampled.row(place[i]);
    return unit_rows(rows);
}

std::vector<std::int32_t> LabelledRows::shuffled(std::uint64_t seed) const {
    return shuffled_within(label, group, seed);
}

std::vector<std::int32_t> LabelledRows::of_another_sequence(std::uint64_t seed) const {
    const auto n = static_cast<std::int64_t>(by_position_.size());
    // Each takes the next one's along a cycle through all of them, so that none gets its own.
    const std::vector<std::int64_t> cycle = permutation(n, seed);
    std::vector<std::int64_t> at(static_cast<std::size_t>(n));
    for (std::int64_t i = 0; i < n; ++i) at[static_cast<std::size_t>(cycle[static_cast<std::size_t>(i)])] = i;
    std::vector<std::int32_t> labels = label;
    for (std::size_t i = 0; i < labels.size(); ++i) {
        const auto position = static_cast<std::size_t>(position_[i]);
        for (std::int64_t step = 1; step < n; ++step) {
            const std::int64_t next = (at[static_cast<std::size_t>(sequence_[i])] + step) % n;
            const auto& other = by_position_[static_cast<std::size_t>(cycle[static_cast<std::size_t>(next)])];
            if (position >= other.size() || other[position] < 0) continue;
            labels[i] = other[position];
            break;
        }
    }
    return labels;
}

LabelledLayers::LabelledLayers(Subject& a_subject)
    : subject(a_subject),
      rows(a_subject),
      layers(a_subject.sites.size()),
      of_others(a_subject.sites.size(), kNoNumber) {}

void LabelledLayers::control(std::size_t site, std::vector<double> shuffled, std::vector<double> others) {
    layers[site].null = quantile(std::move(shuffled), 0.975);
    of_others[site] = quantile(std::move(others), 0.975);
}

Effect LabelledLayers::effect() const {
    Effect effect;
    if (effect.unmeasurable = rows.lacks; !effect.unmeasurable.empty()) return effect;
    if (effect.unmeasurable = subject.lacks_stream(); !effect.unmeasurable.empty()) return effect;
    const auto headline = [this](const Site& site) { return subject.headline(site); };
    effect = mean_over_layers(subject, layers, headline, HeadlineMean::kTooFewRows, "labels shuffled");
    if (!effect.unmeasurable.empty() || subject.effects_only) return effect;
    std::vector<double> others;
    for (std::size_t i = 0; i < layers.size(); ++i) {
        if (headline(subject.sites[i]) && !std::isnan(layers[i].value)) others.push_back(of_others[i]);
    }
    effect.controls.push_back({"labels of other sequences", mean_of(others)});
    effect.detail["labels"] = rows.names;
    effect.detail["rows"] = rows.label.size();
    return effect;
}

void LabelledLayers::add_table(const char* table, const std::string& what) const {
    Json& lines = subject.tables[table] = Json::array();
    for (std::size_t i = 0; i < layers.size(); ++i) {
        if (std::isnan(layers[i].value)) continue;
        lines.push_back({{"site", subject.sites[i].name()},
                         {what, number(layers[i].value)},
                         {"interval", number(jackknife_interval(layers[i].value, layers[i].left_out))},
                         {what + "_shuffled", number(layers[i].null)},
                         {what + "_other_sequences", number(of_others[i])}});
    }
}

}  // namespace tomograph
