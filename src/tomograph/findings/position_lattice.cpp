#include <algorithm>

#include "tomograph/base/random.h"
#include "tomograph/findings/list.h"
#include "tomograph/findings/position_numbers.h"
#include "tomograph/statistics/positions.h"

namespace tomograph {
namespace {

constexpr int kReplicates = 40;

/// Token embeddings: their leading components against a Gaussian cloud.
void measure_embeddings(Subject& subject, Json& detail) {
    const Run& run = subject.run;
    const Site site{Component::embed};
    if (!subject.census.has(site)) {
        detail["token_embeddings"] = nullptr;
        subject.notes.push_back(
            "the lattice score of token embeddings needs embed; capture with --components embed");
        return;
    }
    std::vector<std::int64_t> rows;
    std::vector<std::int32_t> seen;
    std::vector<std::int64_t> order;
    for (std::int64_t row = 0; row < run.n_rows(); ++row) {
        seen.push_back(
            run.tokens().token_id[static_cast<std::size_t>(run.rows()[static_cast<std::size_t>(row)])]);
        if (subject.census.left_out[static_cast<std::size_t>(row)] == 0) order.push_back(row);
    }
    std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
        return seen[static_cast<std::size_t>(a)] < seen[static_cast<std::size_t>(b)];
    });
    for (std::size_t i = 0; i < order.size(); ++i) {
        if (i == 0 ||
            seen[static_cast<std::size_t>(order[i])] != seen[static_cast<std::size_t>(order[i - 1])])
            rows.push_back(order[i]);
    }
    if (rows.size() < 16) return;
    const auto chosen =
        sample_indices(static_cast<std::int64_t>(rows.size()), subject.options.rows, subject.options.seed);
    std::vector<std::int64_t> kept;
    for (const std::int64_t i : chosen) kept.push_back(rows[static_cast<std::size_t>(i)]);
    const LatticeScore score =
        lattice_score(leading_scores(read_sample(run, site, kept), 3), {.seed = subject.options.seed});
    std::vector<double> gaussian;
    for (std::uint64_t s = 0; s < kLatticeSurrogates; ++s)
        gaussian.push_back(gaussian_lattice_score(score.n_points, 3, mix(subject.options.seed, s)));
    detail["token_embeddings"] = {{"lattice", number(score.score)},
                                  {"lattice_gaussian", number(quantile(gaussian, 0.975))},
                                  {"points", score.n_points}};
}

class PositionLattice final : public Measurement {
  public:
    explicit PositionLattice(Subject& subject) : subject_(subject) {}

    Effect finish() override {
        Effect effect;
        const PositionNumbers& positions = subject_.positions();
        effect.unmeasurable = positions.why_not;
        if (!effect.unmeasurable.empty()) return effect;
        const CurveNumbers& found = positions.found;
        effect.value = found.lattice.score;
        effect.detail["curve"] = positions.curve_name;
        if (subject_.effects_only) return effect;
        effect.interval = positions.spread(
            subject_, std::min(kReplicates, subject_.options.bootstrap), effect.value,
            [&](const MatrixD& curve) {
                return lattice_score(principal_scores(curve), {.seed = subject_.options.seed}).score;
            });
        effect.controls = {{"Gaussian cloud", found.gaussian_lattice},
                           {"steps shuffled", found.walk_lattice}};
        measure_embeddings(subject_, effect.detail);
        return effect;
    }

  private:
    Subject& subject_;
};

}  // namespace

const FindingKind findings::position_lattice{.name = "position_lattice",
                                             .effect_is = "second Bragg peak of the curve of positions",
                                             .controls = "Gaussian cloud, steps shuffled",
                                             .twin_counts = true,
                                             .measure = [](Subject& subject) -> std::unique_ptr<Measurement> {
                                                 return std::make_unique<PositionLattice>(subject);
                                             },
                                             .shown_by = &findings::position_helix,
                                             .margin = {.width = 0.1}};

}  // namespace tomograph
