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
        : subject_(subject), means_(subject), by_site_(subject.sites.size(), kNoNumber) {}

    void site(SiteRows& rows) override {
        const SampleRows& sample = subject_.sample;
        if (rows.headline() && !rows.constant()) {
            const Anisotropy anisotropy(rows.rows(), sample.group, sample.n_groups);
            HeadlineMean::Layer& layer = means_.at(rows);
            layer.value = anisotropy.value();
            if (!subject_.effects_only) add_chance(anisotropy, layer);
        }
        if (subject_.effects_only) return;
        const std::vector<std::int32_t> one_group(static_cast<std::size_t>(rows.rows().rows()), 0);
        by_site_[rows.index()] = Anisotropy(rows.rows(), one_group, 1).value();
        rows.line()["anisotropy"] = number(by_site_[rows.index()]);
        rows.line()["anisotropy_centred"] =
            number(rows.constant() ? kNoNumber : centred_mean_cosine(rows.rows()));
    }

    Effect finish() override {
        Effect effect = means_.effect("random signs");
        if (subject_.effects_only) return effect;
        effect.charts.push_back(component_chart(
            subject_, by_site_,
            {.name = "anisotropy-by-layer",
             .title = "Anisotropy",
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
        for (int r = 0; r < subject_.options.bootstrap; ++r)
            layer.replicates.push_back(
                anisotropy.value(bootstrap_weights(subject_.sample.n_groups, seed, r)));
    }

    Subject& subject_;
    HeadlineMean means_;
    std::vector<double> by_site_;
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
