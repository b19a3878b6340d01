#include <algorithm>
#include <cmath>
#include <utility>

#include "tomograph/base/random.h"
#include "tomograph/findings/headline_mean.h"
#include "tomograph/findings/labelled_rows.h"
#include "tomograph/findings/list.h"
#include "tomograph/statistics/probe.h"

namespace tomograph {
namespace {

constexpr int kProbeSurrogates = 20;

/// Whether a linear probe tells the tokens' labels in sequences that it was not fitted to.
class LabelProbe final : public Measurement {
  public:
    explicit LabelProbe(Subject& subject) : subject_(subject), found_(subject), labelled_(found_.rows) {}

    void site(SiteRows& rows) override {
        // Each holds as many second moments as there are folds.
        if (!labelled_.lacks.empty() || rows.constant() || !subject_.headline_layer(rows.site().layer))
            return;
        const int k = labelled_.n_labels();
        std::vector<std::vector<std::int32_t>> labels{labelled_.label};
        for (int s = 0; s < (subject_.effects_only ? 0 : kProbeSurrogates); ++s) {
            const auto seed = static_cast<std::uint64_t>(s);
            labels.push_back(labelled_.shuffled(mix(subject_.options.seed, 0x9406e, seed)));
            labels.push_back(labelled_.of_another_sequence(mix(subject_.options.seed, 0x1abe, seed)));
        }
        const Matrix decisions = decide(labelled_.unit(rows.rows()), labels);
        const auto skill = [&](std::size_t which, std::span<const double> weights = {}) {
            const double hits = class_accuracy(decisions.middleCols(static_cast<Eigen::Index>(which) * k, k),
                                               labels[which], weights);
            return (hits - 1.0 / k) / (1 - 1.0 / k);
        };
        HeadlineMean::Layer& layer = found_.layers[rows.index()];
        layer.value = skill(0);
        if (subject_.effects_only) return;
        layer.left_out = leave_out_groups(subject_, [&](std::span<const double> of_group) {
            std::vector<double> weights;
            for (const std::int32_t group : labelled_.group)
                weights.push_back(of_group[static_cast<std::size_t>(group)]);
            return skill(0, weights);
        });
        std::vector<double> chance, others;
        for (std::size_t s = 1; s < labels.size(); s += 2) {
            chance.push_back(skill(s));
            others.push_back(skill(s + 1));
        }
        found_.control(rows.index(), std::move(chance), std::move(others));
    }

    Effect finish() override {
        const Effect effect = found_.effect();
        if (effect.unmeasurable.empty() && !subject_.effects_only) found_.add_table("label_probes", "skill");
        return effect;
    }

  private:
    /// Decisions for each label of each labelling, [n, labellings x labels]; sequences are decided by a probe
    /// that saw none of them.
    Matrix decide(const Matrix& unit, const std::vector<std::vector<std::int32_t>>& labels) const {
        const int k = labelled_.n_labels();
        Matrix targets = Matrix::Constant(unit.rows(), static_cast<Eigen::Index>(labels.size()) * k, -1.0f);
        for (std::size_t which = 0; which < labels.size(); ++which) {
            for (std::size_t i = 0; i < labels[which].size(); ++i)
                targets(static_cast<Eigen::Index>(i),
                        static_cast<Eigen::Index>(which) * k + labels[which][i]) = 1;
        }
        const int most_folds = subject_.run.d_model() > 2048 ? 2 : 5;
        const int n_folds = std::min(most_folds, subject_.sample.n_groups);
        std::vector<std::int32_t> fold;
        for (const std::int32_t group : labelled_.group) fold.push_back(group % n_folds);
        return probe_decisions(unit, targets, fold);
    }

    Subject& subject_;
    LabelledLayers found_;
    const LabelledRows& labelled_;
};

}  // namespace

const FindingKind findings::label_probe{.name = "label_probe",
                                        .effect_is =
                                            "how well a probe of the stream tells the labels of other "
                                            "sequences' tokens, from chance (0) to always "
                                            "(1), middle layers",
                                        .controls = "labels shuffled, labels of other sequences",
                                        .twin_counts = true,
                                        .needs = Needs::labels,
                                        .measure = [](Subject& subject) -> std::unique_ptr<Measurement> {
                                            return std::make_unique<LabelProbe>(subject);
                                        },
                                        .shown_by = &findings::label_share,
                                        .margin = {.width = 0.04, .no_effect = 0}};

}  // namespace tomograph
