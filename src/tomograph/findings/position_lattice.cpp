#include <fmt/format.h>

#include <algorithm>

#include "tomograph/base/random.h"
#include "tomograph/base/threads.h"
#include "tomograph/findings/list.h"
#include "tomograph/findings/position_numbers.h"
#include "tomograph/statistics/lattice.h"
#include "tomograph/statistics/positions.h"

namespace tomograph {
namespace {

constexpr int kLatticeReplicates = 40;
constexpr int kLatticeSurrogates = 19;

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

/// How much of the curve is noise, from how much its groups' shares differ: [k, k], the covariance of the
/// noise that the mean over all groups has left.
MatrixD noise_of(const PositionNumbers& positions) {
    const Eigen::Index k = positions.curve.cols();
    MatrixD mean = MatrixD::Zero(positions.curve.rows(), k), noise = MatrixD::Zero(k, k);
    std::vector<MatrixD> parts;
    for (const MatrixD& part : positions.parts) {
        parts.push_back(thin_curve(part, kCurvePoints));
        mean += parts.back();
    }
    const auto n = static_cast<double>(parts.size());
    mean /= n;
    for (const MatrixD& part : parts) {
        MatrixD apart = part - mean;
        apart.rowwise() -= apart.colwise().mean().eval();  // where the whole curve lies is no matter
        noise += apart.transpose() * apart;
    }
    return noise * (n / (n - 1) / static_cast<double>(mean.rows()));
}

/// A curve's own, along its principal axes.
std::vector<double> along_axes(const MatrixD& noise, const MatrixD& curve) {
    const MatrixD axes = principal_axes(curve);
    std::vector<double> variances;
    for (Eigen::Index c = 0; c < axes.cols(); ++c) variances.push_back(axes.col(c).dot(noise * axes.col(c)));
    return variances;
}

class PositionLattice final : public Measurement {
  public:
    explicit PositionLattice(Subject& subject) : subject_(subject) {}

    Effect finish() override {
        Effect effect;
        const PositionNumbers& positions = subject_.positions();
        effect.unmeasurable = positions.why_not;
        if (!effect.unmeasurable.empty()) return effect;
        const MatrixD noise = noise_of(positions);
        const auto score = [&](const MatrixD& curve) {
            return lattice_score(principal_scores(curve),
                                 {.seed = subject_.options.seed, .noise = along_axes(noise, curve)});
        };
        const LatticeScore found = score(positions.curve);
        effect.value = found.score;
        effect.detail["curve"] = positions.curve_name;
        const std::vector<double> share = noise_share(positions.curve, noise);
        std::vector<double> sorted = share;
        std::ranges::sort(sorted);
        effect.detail["noise_share"] = numbers(share);
        if (sorted.size() < 2 || !(sorted[1] <= kMostLatticeNoise)) {
            effect.unmeasurable = fmt::format(
                "the means by position are too noisy for a lattice to show: all but one component are noise "
                "to "
                "{:.2g} % or more, where {:.2g} % would do; capture more sequences",
                100 * sorted.at(1), 100 * kMostLatticeNoise);
        }
        if (subject_.effects_only) return effect;
        measure_embeddings(subject_, effect.detail);
        if (!effect.unmeasurable.empty()) return effect;
        effect.interval =
            positions.spread(subject_, std::min(kLatticeReplicates, subject_.options.bootstrap), effect.value,
                             [&](const MatrixD& curve) { return score(curve).score; });
        std::vector<double> walks(kLatticeSurrogates), gaussians(kLatticeSurrogates);
        parallel_for(kLatticeSurrogates, subject_.threads, [&](std::int64_t s) {
            const auto i = static_cast<std::size_t>(s);
            const std::uint64_t seed = mix(subject_.options.seed, static_cast<std::uint64_t>(s));
            walks[i] = score(shuffled_steps(positions.curve, seed)).score;
            gaussians[i] = gaussian_lattice_score(found.n_points, 3, seed, share);
        });
        effect.controls = {{"Gaussian cloud", quantile(gaussians, 0.975)},
                           {"steps shuffled", quantile(walks, 0.975)}};
        Json& table = position_table(subject_)["stream"]["lattice"];
        table = {{"score", number(found.score)},
                 {"components", {found.first, found.second}},
                 {"gaussian", number(effect.controls[0].value)},
                 {"random_walk", number(effect.controls[1].value)}};
        return effect;
    }

  private:
    /// Of the first three components' variance.
    static std::vector<double> noise_share(const MatrixD& curve, const MatrixD& noise) {
        std::vector<double> share = along_axes(noise, curve);
        const MatrixD scores = principal_scores(curve);
        for (std::size_t c = 0; c < share.size(); ++c)
            share[c] /=
                scores.col(static_cast<Eigen::Index>(c)).squaredNorm() / static_cast<double>(scores.rows());
        share.resize(std::min<std::size_t>(3, share.size()));
        return share;
    }

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
