#include <algorithm>
#include <cmath>

#include "tomograph/findings/list.h"
#include "tomograph/findings/norms.h"
#include "tomograph/findings/sinks.h"
#include "tomograph/findings/subject.h"

namespace tomograph {
namespace {

class FirstTokenNorm final : public Measurement {
  public:
    explicit FirstTokenNorm(Subject& subject) : subject_(subject) {}

    Effect finish() override {
        Effect effect;
        const Run& run = subject_.run;
        if (!subject_.effects_only && run.has_stats()) add_tables();
        if (run.length() < 2) {
            effect.unmeasurable = "every sequence is one token long";
            return effect;
        }
        const auto component = residual();
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
        if (subject_.effects_only) return effect;
        add_chance(*best, effect);
        effect.charts.push_back(chart());
        if (!subject_.census.sinks.empty()) effect.charts.push_back(sinks_chart());
        return effect;
    }

  private:
    std::optional<Component> residual() const {
        for (const Component candidate :
             {Component::resid_post, Component::resid_mid, Component::resid_pre}) {
            for (const SiteShape& shape : subject_.run.sites()) {
                if (shape.site.component == candidate) return candidate;
            }
        }
        return std::nullopt;
    }

    void add_chance(const FirstTokenRatio& best, Effect& effect) const {
        const Run& run = subject_.run;
        const auto norms = run.norms(best.site);
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
            if (!std::isfinite(norms[t])) continue;
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
        effect.interval =
            tomograph::bootstrap(n_groups, subject_.bootstrap(), [&](std::span<const double> w) {
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
            if (counts[p] > 0 && best.median > 0) others.push_back(sums[p] / counts[p] / best.median);
        }
        effect.controls.push_back({"other positions", quantile(others, 0.975)});
    }

    /// The table `norms`, and each site's two numbers in its line.
    void add_tables() const {
        const Run& run = subject_.run;
        Json& table = subject_.tables["norms"] = Json::array();
        const auto length = static_cast<std::size_t>(run.length());
        for (const SiteShape& shape : run.sites()) {
            const auto values = run.norms(shape.site);
            std::vector<double> sums(length, 0.0), counts(length, 0.0), rest;
            for (std::size_t t = 0; t < values.size(); ++t) {
                if (!std::isfinite(values[t])) continue;
                const auto p = static_cast<std::size_t>(run.tokens().position[t]);
                sums[p] += values[t];
                counts[p] += 1;
                if (p > 0) rest.push_back(values[t]);
            }
            std::vector<double> by_position;
            for (std::size_t p = 0; p < length; ++p)
                by_position.push_back(counts[p] > 0 ? sums[p] / counts[p] : kNoNumber);
            const double middle = median(rest), ratio = middle > 0 ? by_position[0] / middle : kNoNumber;
            table.push_back({{"site", shape.site.name()},
                             {"median_after_first", number(middle)},
                             {"first", number(by_position[0])},
                             {"first_ratio", number(ratio)},
                             {"by_position", numbers(by_position)}});
            const auto site = std::find(subject_.sites.begin(), subject_.sites.end(), shape.site);
            if (site == subject_.sites.end()) continue;
            Json& line = subject_.site_lines[static_cast<std::size_t>(site - subject_.sites.begin())];
            line["norm_median"] = number(middle);
            line["first_token_ratio"] = number(ratio);
        }
    }

    Chart chart() const {
        LayerChart shape{.y_label = "times the median", .log_y = true};
        for (const Component component :
             {Component::attn_out, Component::mlp_out, Component::resid_mid, Component::resid_post}) {
            ChartLine line{.name = std::string(component_name(component)), .component = component};
            for (const FirstTokenRatio& ratio : first_token_ratios(subject_.run, component)) {
                line.layer.push_back(ratio.site.layer);
                line.value.push_back(ratio.ratio);
            }
            if (!line.layer.empty()) shape.lines.push_back(std::move(line));
        }
        return {.name = "first-token-by-layer",
                .title = "Norm of the first token",
                .caption = "Norm at position 0 over the median of the other positions, by layer.",
                .shape = std::move(shape)};
    }

    Chart sinks_chart() const {
        ChartLine first{.name = "at position 0"}, elsewhere{.name = "elsewhere"};
        for (const SinkCount& count : count_sinks(subject_.run)) {
            if (count.site.component != residual()) continue;
            for (ChartLine* line : {&first, &elsewhere}) line->layer.push_back(count.site.layer);
            first.value.push_back(static_cast<double>(count.first));
            elsewhere.value.push_back(static_cast<double>(count.elsewhere));
        }
        return {.name = "sinks-by-layer",
                .title = "Sinks",
                .subtitle = std::string(component_name(*residual())),
                .caption = "Tokens whose norm is above ten times the layer's median, by layer.",
                .shape = LayerChart{.y_label = "tokens", .lines = {std::move(first), std::move(elsewhere)}}};
    }

    Subject& subject_;
};

}  // namespace

const FindingKind findings::first_token_norm{
    .name = "first_token_norm",
    .effect_is = "norm at position 0 over the median elsewhere, strongest middle layer",
    .controls = "other positions",
    .twin_counts = true,
    .measure = [](Subject& subject) -> std::unique_ptr<Measurement> {
        return std::make_unique<FirstTokenNorm>(subject);
    },
    .margin = {.width = 0.1, .no_effect = 1}};

}  // namespace tomograph
