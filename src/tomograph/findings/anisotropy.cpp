#include <algorithm>
#include <cmath>
#include <map>

#include "tomograph/base/random.h"
#include "tomograph/findings/headline_mean.h"
#include "tomograph/findings/list.h"
#include "tomograph/statistics/concentration.h"

namespace tomograph {
namespace {

constexpr int kSigns = 20;

class AnisotropyOfStream final : public Measurement {
  public:
    explicit AnisotropyOfStream(Subject& subject)
        : subject_(subject), means_(subject), by_site_(subject.sites.size()) {}

    void site(SiteRows& rows) override {
        const SampleRows& sample = subject_.sample;
        if (rows.headline() && !rows.constant()) {
            const Anisotropy anisotropy(rows.rows(), sample.group, sample.n_groups);
            HeadlineMean::Layer& layer = means_.at(rows);
            layer.value = anisotropy.value();
            if (!subject_.effects_only) add_chance(anisotropy, layer);
        }
        if (subject_.effects_only) return;
        AnisotropyForms& forms = by_site_[rows.index()];
        forms = anisotropy_forms(rows.rows());
        if (rows.constant()) forms.centred = kNoNumber;  // of rounding errors
        rows.line()["anisotropy"] = number(forms.raw);
        rows.line()["anisotropy_centred"] = number(forms.centred);
        rows.line()["anisotropy_without_rogue"] = number(forms.without_rogue);
        rows.line()["anisotropy_rogue"] = forms.rogue;
    }

    Effect finish() override {
        Effect effect = means_.effect("random signs");
        if (subject_.effects_only || !effect.unmeasurable.empty()) return effect;
        describe(effect.detail);
        effect.charts.push_back(chart_of_forms());
        effect.charts.push_back(component_chart(
            subject_, values(&AnisotropyForms::raw),
            {.name = "anisotropy-by-component",
             .title = "Anisotropy by component",
             .caption = "Mean cosine of random pairs of vectors, by layer: 0 where directions are spread "
                        "evenly."},
            "mean cosine"));
        return effect;
    }

  private:
    void add_chance(const Anisotropy& anisotropy, HeadlineMean::Layer& layer) const {
        const std::uint64_t seed = subject_.options.seed;
        std::vector<double> signs;
        for (std::uint64_t i = 0; i < kSigns; ++i)
            signs.push_back(anisotropy.with_random_signs(mix(seed, i)));
        layer.null = quantile(signs, 0.975);
        layer.left_out =
            leave_out_groups(subject_, [&](std::span<const double> w) { return anisotropy.value(w); });
    }

    std::vector<double> values(double AnisotropyForms::* form) const {
        std::vector<double> list;
        for (const AnisotropyForms& forms : by_site_) list.push_back(forms.*form);
        return list;
    }

    /// Means over the headline layers, and which coordinates lead in how many of them.
    void describe(Json& detail) const {
        std::vector<double> centred, without, share;
        std::map<int, int> layers;
        for (std::size_t i = 0; i < by_site_.size(); ++i) {
            if (!subject_.headline(subject_.sites[i]) || std::isnan(by_site_[i].centred)) continue;
            centred.push_back(by_site_[i].centred);
            without.push_back(by_site_[i].without_rogue);
            share.push_back(by_site_[i].rogue_share);
            for (const int coordinate : by_site_[i].rogue) ++layers[coordinate];
        }
        detail["centred"] = number(mean_of(centred));
        detail["without_rogue"] = number(mean_of(without));
        detail["rogue_share"] = number(mean_of(share));
        std::vector<std::pair<int, int>> order(layers.begin(), layers.end());
        std::ranges::stable_sort(order, [](const auto& a, const auto& b) { return a.second > b.second; });
        detail["rogue"] = Json::array();
        for (const auto& [coordinate, n] : order)
            detail["rogue"].push_back({{"coordinate", coordinate}, {"layers", n}});
    }

    Chart chart_of_forms() const {
        LayerChart shape{.y_label = "mean cosine"};
        const auto add = [&](const char* name, double AnisotropyForms::* form) {
            auto lines = subject_.lines_by_layer(values(form), {*subject_.stream});
            if (lines.empty()) return;
            lines.front().name = name;
            lines.front().component.reset();
            shape.lines.push_back(std::move(lines.front()));
        };
        add("as it is", &AnisotropyForms::raw);
        add("without rogue coordinates", &AnisotropyForms::without_rogue);
        add("mean taken away", &AnisotropyForms::centred);
        return {.name = "anisotropy-by-layer",
                .title = "Anisotropy of the stream",
                .subtitle = std::string(component_name(*subject_.stream)),
                .caption =
                    "Mean cosine of random pairs of vectors, by layer: as they are, without the three "
                    "coordinates that add most to it, and once the mean of all is taken away.",
                .shape = std::move(shape)};
    }

    Subject& subject_;
    HeadlineMean means_;
    std::vector<AnisotropyForms> by_site_;
};

}  // namespace

const FindingKind findings::anisotropy{.name = "anisotropy",
                                       .effect_is = "mean cosine of random pairs, middle layers",
                                       .controls = "random signs",
                                       .twin_counts = true,
                                       .measure = [](Subject& subject) -> std::unique_ptr<Measurement> {
                                           return std::make_unique<AnisotropyOfStream>(subject);
                                       },
                                       .margin = {.width = 0.02, .no_effect = 0}};

}  // namespace tomograph
