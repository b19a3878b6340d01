// What the stats files give exactly, over all tokens: norms, and the first token's.
#include <algorithm>
#include <cmath>
#include <map>

#include "tomograph/findings/norms.h"
#include "tomograph/findings/parts.h"

namespace tomograph {

/// The stats files' numbers by site: norms by position, first-token ratio, share explained by position.
void add_norms(const Subject& subject, const std::vector<Site>& sites, std::vector<Json>& lines,
               PartResult& result) {
    const Run& run = subject.run;
    if (!run.has_stats()) return;
    std::map<std::string, std::size_t> line_of;
    for (std::size_t i = 0; i < sites.size(); ++i) line_of[sites[i].name()] = i;
    Json& norms = result.tables["norms"] = Json::array();
    const auto length = static_cast<std::size_t>(run.length());
    const bool excluded_label = run.json().contains("means_without_label");
    for (const SiteShape& shape : run.sites()) {
        const auto values = run.norms(shape.site);
        std::vector<double> sums(length, 0.0), counts(length, 0.0), rest, squares(length, 0.0);
        for (std::size_t t = 0; t < values.size(); ++t) {
            const auto p = static_cast<std::size_t>(run.tokens().position[t]);
            sums[p] += values[t];
            squares[p] += static_cast<double>(values[t]) * values[t];
            counts[p] += 1;
            if (p > 0) rest.push_back(values[t]);
        }
        std::vector<double> by_position;
        for (std::size_t p = 0; p < length; ++p)
            by_position.push_back(counts[p] > 0 ? sums[p] / counts[p] : kNoNumber);
        const double middle = median(rest), first_ratio = middle > 0 ? by_position[0] / middle : kNoNumber;
        norms.push_back({{"site", shape.site.name()},
                         {"median_after_first", number(middle)},
                         {"first", number(by_position[0])},
                         {"first_ratio", number(first_ratio)},
                         {"by_position", numbers(by_position)}});
        const auto line = line_of.find(shape.site.name());
        if (line == line_of.end()) continue;
        lines[line->second]["norm_median"] = number(middle);
        lines[line->second]["first_token_ratio"] = number(first_ratio);
        if (excluded_label) continue;
        const Matrix means = run.means(shape.site);
        double between = 0, total = 0, n = 0;
        Eigen::RowVectorXd sum = Eigen::RowVectorXd::Zero(means.cols());
        for (std::size_t p = 1; p < length; ++p) {
            const Eigen::RowVectorXd mean = means.row(static_cast<Eigen::Index>(p)).cast<double>();
            between += counts[p] * mean.squaredNorm();
            sum += counts[p] * mean;
            total += squares[p];
            n += counts[p];
        }
        if (n < 2) continue;
        const double offset = sum.squaredNorm() / n;
        lines[line->second]["position_eta2"] =
            number(total - offset > 1e-9 * total ? (between - offset) / (total - offset) : kNoNumber);
    }
}

Effect measure_first_token(const Subject& subject) {
    Effect effect;
    const Run& run = subject.run;
    if (run.length() < 2) {
        effect.unmeasurable = "every sequence is one token long";
        return effect;
    }
    std::optional<Component> component;
    for (const Component candidate : {Component::resid_post, Component::resid_mid, Component::resid_pre}) {
        if (!component && std::any_of(run.sites().begin(), run.sites().end(),
                                      [&](const SiteShape& s) { return s.site.component == candidate; }))
            component = candidate;
    }
    if (!component || !run.has_stats()) {
        effect.unmeasurable = "no norms of the residual stream; capture with --components resid_post";
        return effect;
    }
    const auto best = first_token_ratio(run, *component);
    if (!best) {
        effect.unmeasurable = "no token stands at the first position";
        return effect;
    }
    effect.value = best->ratio;
    effect.detail = {{"site", best->site.name()}, {"by_layer", Json::array()}};
    for (const auto& ratio : first_token_ratios(run, *component))
        effect.detail["by_layer"].push_back(number(ratio.ratio));
    if (subject.effects_only) return effect;

    const auto norms = run.norms(best->site);
    const TokenTable& tokens = run.tokens();
    std::int32_t n_sequences = 0;
    for (const std::int32_t s : tokens.sequence) n_sequences = std::max(n_sequences, s + 1);
    const int n_groups = std::min(n_sequences, kMostGroups);
    struct Rest {
        double norm;
        int group;
    };
    std::vector<Rest> rest;
    std::vector<double> first(static_cast<std::size_t>(n_groups), 0.0), n_first = first;
    std::vector<double> sums(static_cast<std::size_t>(run.length()), 0.0), counts = sums;
    for (std::size_t t = 0; t < norms.size(); ++t) {
        const int group =
            static_cast<int>(static_cast<std::int64_t>(tokens.sequence[t]) * n_groups / n_sequences);
        sums[static_cast<std::size_t>(tokens.position[t])] += norms[t];
        counts[static_cast<std::size_t>(tokens.position[t])] += 1;
        if (tokens.position[t] > 0) {
            rest.push_back({norms[t], group});
        } else {
            first[static_cast<std::size_t>(group)] += norms[t];
            n_first[static_cast<std::size_t>(group)] += 1;
        }
    }
    std::sort(rest.begin(), rest.end(), [](const Rest& a, const Rest& b) { return a.norm < b.norm; });
    effect.interval = bootstrap(n_groups, subject.bootstrap(), [&](std::span<const double> w) {
        double sum = 0, n = 0, total = 0, below = 0;
        for (std::size_t g = 0; g < first.size(); ++g) {
            sum += w[g] * first[g];
            n += w[g] * n_first[g];
        }
        for (const Rest& row : rest) total += w[static_cast<std::size_t>(row.group)];
        for (const Rest& row : rest) {
            below += w[static_cast<std::size_t>(row.group)];
            if (2 * below >= total) return n > 0 && row.norm > 0 ? sum / n / row.norm : kNoNumber;
        }
        return kNoNumber;
    });
    std::vector<double> others;
    for (std::size_t p = 1; p < sums.size(); ++p) {
        if (counts[p] > 0 && best->median > 0) others.push_back(sums[p] / counts[p] / best->median);
    }
    effect.controls.push_back({"other positions", quantile(others, 0.975)});
    return effect;
}

}  // namespace tomograph
