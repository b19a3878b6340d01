// Attention against MLP: one layer's numbers, and the three findings made of all layers'.
#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <numbers>

#include "tomograph/base/random.h"
#include "tomograph/findings/parts.h"
#include "tomograph/statistics/clouds.h"
#include "tomograph/statistics/dimension.h"
#include "tomograph/statistics/probe.h"
#include "tomograph/statistics/subspaces.h"

namespace tomograph {
namespace {

constexpr int kShuffles = 20;      // of labels, for silhouettes
constexpr int kProbeShuffles = 5;  // for probes: each costs a fit
constexpr int kAngleReplicates = 40;
constexpr std::int64_t kMostAngles = 64;
constexpr double kDegrees = 180 / std::numbers::pi;

/// Labels of the 2 n stacked rows, 0 for attention; shuffle 0 is the truth, others swap the two of a token at
/// random, so that each sequence keeps as many of each.
std::vector<std::int8_t> pair_labels(std::int64_t n, std::uint64_t seed, int shuffle) {
    std::vector<std::int8_t> labels(static_cast<std::size_t>(2 * n));
    Rng rng(mix(seed, 0x1abe1, static_cast<std::uint64_t>(shuffle)));
    for (std::int64_t i = 0; i < n; ++i) {
        const bool swap = shuffle > 0 && (rng() & 1) != 0;
        labels[static_cast<std::size_t>(i)] = swap ? 1 : 0;
        labels[static_cast<std::size_t>(n + i)] = swap ? 0 : 1;
    }
    return labels;
}

std::int64_t subspace_size(const Pca& pca) {
    const double ratio = participation_ratio(pca.explained_variance);
    if (std::isnan(ratio)) return 0;
    return std::clamp<std::int64_t>(std::llround(ratio), 1,
                                    std::min<std::int64_t>(kMostAngles, pca.n_components()));
}

MatrixD leading(const Pca& pca, std::int64_t k) {
    return pca.components.topRows(std::min<std::int64_t>(k, pca.n_components())).cast<double>();
}

/// One side's rows in its own leading components, summed by group, so that a weighted PCA needs a small
/// matrix only. The subspace of a resampled PCA lies in the span of a somewhat larger one of all rows
/// (Rayleigh-Ritz).
class Resampled {
  public:
    Resampled(const Matrix& rows, const Pca& pca, std::int64_t k, const Sample& sample)
        : k_(k), basis_(leading(pca, std::max(2 * k, k + 32))) {
        const Matrix scores = (rows.rowwise() - pca.mean.transpose()) * basis_.cast<float>().transpose();
        const auto n_groups = static_cast<std::size_t>(sample.n_groups);
        const Eigen::Index q = scores.cols();
        squares_.assign(n_groups, MatrixD::Zero(q, q));
        sums_.assign(n_groups, VectorD::Zero(q));
        counts_.assign(n_groups, 0.0);
        Eigen::Index begin = 0;
        while (begin < scores.rows()) {  // groups ascend
            const std::int32_t group = sample.group[static_cast<std::size_t>(begin)];
            Eigen::Index end = begin;
            while (end < scores.rows() && sample.group[static_cast<std::size_t>(end)] == group) ++end;
            const MatrixD part = scores.middleRows(begin, end - begin).cast<double>();
            const auto g = static_cast<std::size_t>(group);
            squares_[g] = part.transpose() * part;
            sums_[g] = part.colwise().sum().transpose();
            counts_[g] = static_cast<double>(end - begin);
            begin = end;
        }
    }

    const MatrixD& basis() const { return basis_; }

    /// The leading k components in terms of basis(), [k, q].
    MatrixD components(std::span<const double> weights) const {
        MatrixD squares = MatrixD::Zero(basis_.rows(), basis_.rows());
        VectorD sum = VectorD::Zero(basis_.rows());
        double count = 0;
        for (std::size_t g = 0; g < weights.size(); ++g) {
            if (weights[g] == 0) continue;
            squares += weights[g] * squares_[g];
            sum += weights[g] * sums_[g];
            count += weights[g] * counts_[g];
        }
        if (count > 0) squares -= sum * sum.transpose() / count;
        const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(squares);
        return solver.eigenvectors().rightCols(std::min<Eigen::Index>(k_, squares.rows())).transpose();
    }

  private:
    std::int64_t k_;
    MatrixD basis_;
    std::vector<MatrixD> squares_;
    std::vector<VectorD> sums_;
    std::vector<double> counts_;
};

void measure_angles(const Subject& subject, const LayerPair& pair, bool headline, PairNumbers& numbers) {
    numbers.k_attention = subspace_size(pair.attention_pca);
    numbers.k_mlp = subspace_size(pair.mlp_pca);
    if (numbers.k_attention == 0 || numbers.k_mlp == 0) return;
    const std::int64_t d = pair.attention.cols();
    const MatrixD a = leading(pair.attention_pca, numbers.k_attention),
                  m = leading(pair.mlp_pca, numbers.k_mlp);
    numbers.mean_angle = kDegrees * mean_angle(a, m);
    if (subject.effects_only) return;
    numbers.least_angle = kDegrees * principal_angles(a, m).back();
    numbers.overlap = subspace_overlap(a, m);
    numbers.random_overlap = random_overlap(numbers.k_attention, numbers.k_mlp, d);
    numbers.random_angle =
        kDegrees * random_mean_angle(numbers.k_attention, numbers.k_mlp, d, subject.options.seed, 1);
    if (!headline) return;

    const auto labels = pair_labels(pair.attention.rows(), subject.options.seed, 1);
    Matrix mixed_a = pair.attention, mixed_m = pair.mlp;
    for (Eigen::Index i = 0; i < mixed_a.rows(); ++i) {
        if (labels[static_cast<std::size_t>(i)] == 1) mixed_a.row(i).swap(mixed_m.row(i));
    }
    const auto k_a = static_cast<int>(numbers.k_attention), k_m = static_cast<int>(numbers.k_mlp);
    const Pca pca_a = fit_pca(MatrixRows(mixed_a), {.n_components = k_a, .threads = 1}),
              pca_m = fit_pca(MatrixRows(mixed_m), {.n_components = k_m, .threads = 1});
    numbers.shuffled_angle = kDegrees * mean_angle(leading(pca_a, k_a), leading(pca_m, k_m));

    const Resampled side_a(pair.attention, pair.attention_pca, k_a, subject.sample),
        side_m(pair.mlp, pair.mlp_pca, k_m, subject.sample);
    const MatrixD cross = side_a.basis() * side_m.basis().transpose();
    for (int r = 0; r < std::min(subject.options.bootstrap, kAngleReplicates); ++r) {
        const auto weights = bootstrap_weights(subject.sample.n_groups, subject.options.seed, r);
        const MatrixD in_a = side_a.components(weights) * cross;  // [k_a, q_m]
        numbers.angle_replicates.push_back(kDegrees * mean_angle(in_a, side_m.components(weights)));
    }
}

void measure_probe(const Subject& subject, const Matrix& unit, std::span<const std::int32_t> group,
                   PairNumbers& numbers) {
    const Sample& sample = subject.sample;
    if (sample.n_groups < 2) return;
    const int n_folds = std::min(5, sample.n_groups), shuffles = subject.effects_only ? 0 : kProbeShuffles;
    std::vector<std::int32_t> fold;
    for (const std::int32_t g : group) fold.push_back(g % n_folds);
    Matrix labels(unit.rows(), 1 + shuffles);
    for (int s = 0; s <= shuffles; ++s) {
        const auto column = pair_labels(unit.rows() / 2, subject.options.seed, s);
        for (Eigen::Index i = 0; i < unit.rows(); ++i)
            labels(i, s) = column[static_cast<std::size_t>(i)] == 0 ? -1.0f : 1.0f;
    }
    const Matrix decisions = probe_decisions(unit, labels, fold);
    numbers.probe = balanced_accuracy(decisions.col(0), labels.col(0));
    if (subject.effects_only) return;
    for (int s = 1; s <= shuffles; ++s) {
        const double accuracy = balanced_accuracy(decisions.col(s), labels.col(s));
        numbers.shuffled_probe = s == 1 ? accuracy : std::max(numbers.shuffled_probe, accuracy);
    }
    MatrixD hits = MatrixD::Zero(sample.n_groups, 2), counts = hits;
    for (Eigen::Index i = 0; i < unit.rows(); ++i) {
        const Eigen::Index label = labels(i, 0) > 0 ? 1 : 0;
        const std::int32_t g = group[static_cast<std::size_t>(i)];
        counts(g, label) += 1;
        hits(g, label) += (decisions(i, 0) > 0) == (label == 1);
    }
    for (int r = 0; r < subject.options.bootstrap; ++r) {
        const auto weights = bootstrap_weights(sample.n_groups, subject.options.seed, r);
        const Eigen::RowVectorXd w = Eigen::Map<const Eigen::RowVectorXd>(weights.data(), sample.n_groups);
        numbers.probe_replicates.push_back((w * hits).cwiseQuotient(w * counts).mean());
    }
}

/// The mean over layers of the r-th replicate, for all r.
std::vector<double> mean_replicates(const std::vector<const PairNumbers*>& pairs,
                                    std::vector<double> PairNumbers::* member) {
    std::size_t n = pairs.empty() ? 0 : (pairs.front()->*member).size();
    for (const PairNumbers* pair : pairs) n = std::min(n, (pair->*member).size());
    std::vector<double> means(n, 0.0);
    for (const PairNumbers* pair : pairs) {
        for (std::size_t r = 0; r < n; ++r)
            means[r] += (pair->*member)[r] / static_cast<double>(pairs.size());
    }
    return means;
}

double mean_over(const std::vector<const PairNumbers*>& pairs, double PairNumbers::* member) {
    std::vector<double> values;
    for (const PairNumbers* pair : pairs) values.push_back(pair->*member);
    return mean_of(values);
}

std::optional<Interval> percentile(const Subject& subject, const std::vector<double>& replicates) {
    if (subject.sample.n_groups < kFewestGroups || replicates.size() < 10) return std::nullopt;
    return Interval{quantile(replicates, 0.025), quantile(replicates, 0.975)};
}

/// The first layer from which all later ones split; `size` where the last does not.
double onset_of(const std::vector<bool>& splits) {
    std::size_t onset = splits.size();
    while (onset > 0 && splits[onset - 1]) --onset;
    return static_cast<double>(onset);
}

Effect judge_onset(const Subject& subject, const std::vector<PairNumbers>& pairs) {
    Effect onset;
    const std::size_t n = pairs.size();
    if (n < 2) {
        onset.unmeasurable = n == 0 ? "" : "one layer only";
        return onset;
    }
    const auto splits_in = [&](auto silhouette) {
        std::vector<bool> splits;
        for (const PairNumbers& pair : pairs) splits.push_back(silhouette(pair) > pair.shuffled_silhouette);
        return splits;
    };
    const auto splits = splits_in([](const PairNumbers& pair) { return pair.silhouette; });
    const double found = onset_of(splits);
    const auto layer_at = [&](double index) {
        return index < static_cast<double>(n) ? pairs[static_cast<std::size_t>(index)].layer
                                              : pairs.back().layer + 1;
    };
    onset.detail["splits"] = splits;
    if (found < static_cast<double>(n))
        onset.value = layer_at(found);
    else
        onset.absent = "the clouds are not apart in the last layer";
    std::vector<double> replicates, shuffled;
    for (std::size_t r = 0; r < pairs.front().silhouette_replicates.size(); ++r) {
        replicates.push_back(layer_at(
            onset_of(splits_in([&](const PairNumbers& pair) { return pair.silhouette_replicates[r]; }))));
    }
    if (found < static_cast<double>(n)) onset.interval = percentile(subject, replicates);
    for (std::uint64_t s = 0; s < 1000; ++s) {
        std::vector<bool> mixed;
        for (const std::int64_t i :
             permutation(static_cast<std::int64_t>(n), mix(subject.options.seed, 0x05e7, s)))
            mixed.push_back(splits[static_cast<std::size_t>(i)]);
        shuffled.push_back(layer_at(onset_of(mixed)));
    }
    onset.controls.push_back({"layer order shuffled", quantile(shuffled, 0.025)});
    if (found == 0) onset.absent = "the clouds are apart in every layer, so there is no onset";
    return onset;
}

}  // namespace

PairNumbers measure_pair(const Subject& subject, const LayerPair& pair, bool headline) {
    PairNumbers numbers;
    numbers.layer = pair.layer;
    const std::int64_t n = pair.attention.rows();
    if (n < 8 || pair.attention.cols() != pair.mlp.cols()) return numbers;
    const Sample& sample = subject.sample;
    Matrix unit(2 * n, pair.attention.cols());
    unit << unit_rows(pair.attention), unit_rows(pair.mlp);
    std::vector<std::int32_t> group = sample.group;
    group.insert(group.end(), sample.group.begin(), sample.group.end());
    const CosineSilhouette silhouette(unit, group, sample.n_groups);
    const auto labels = pair_labels(n, subject.options.seed, 0);
    numbers.silhouette = silhouette.value(labels);
    if (headline || !subject.effects_only) {
        measure_probe(subject, unit, group, numbers);
        measure_angles(subject, pair, headline, numbers);
    }
    if (subject.effects_only) return numbers;
    const CloudScores scores = compare_clouds(unit.topRows(n), unit.bottomRows(n));
    numbers.davies_bouldin = scores.davies_bouldin;
    numbers.calinski_harabasz = scores.calinski_harabasz;
    std::vector<double> shuffled;
    for (int s = 1; s <= kShuffles; ++s)
        shuffled.push_back(silhouette.value(pair_labels(n, subject.options.seed, s)));
    numbers.shuffled_silhouette = quantile(shuffled, 0.975);
    const auto labelled = silhouette.labelled(labels);
    for (int r = 0; r < subject.options.bootstrap; ++r)
        numbers.silhouette_replicates.push_back(
            labelled.value(bootstrap_weights(sample.n_groups, subject.options.seed, r)));
    return numbers;
}

void judge_pairs(const Subject& subject, const std::vector<PairNumbers>& pairs, PartResult& result) {
    Effect& separation = result.effects["attn_mlp_separation"];
    Effect& angles = result.effects["attn_mlp_angles"];
    Effect& onset = result.effects["separation_onset"];
    std::vector<const PairNumbers*> headline;
    for (const PairNumbers& pair : pairs) {
        if (std::find(subject.layers.begin(), subject.layers.end(), pair.layer) != subject.layers.end())
            headline.push_back(&pair);
    }
    if (headline.empty()) {
        std::string why = subject.lacks(Component::attn_out);
        if (why.empty()) why = subject.lacks(Component::mlp_out);
        if (why.empty()) why = "no middle layer has both attn_out and mlp_out; capture more --layers";
        for (Effect* effect : {&separation, &angles, &onset}) effect->unmeasurable = why;
        return;
    }
    separation.value = mean_over(headline, &PairNumbers::silhouette);
    separation.interval = percentile(subject, mean_replicates(headline, &PairNumbers::silhouette_replicates));
    separation.detail["probe_balanced_accuracy"] = number(mean_over(headline, &PairNumbers::probe));
    separation.detail["davies_bouldin"] = number(mean_over(headline, &PairNumbers::davies_bouldin));
    separation.detail["calinski_harabasz"] = number(mean_over(headline, &PairNumbers::calinski_harabasz));
    angles.value = mean_over(headline, &PairNumbers::mean_angle);
    if (std::isnan(separation.value)) separation.unmeasurable = "too few rows, or all are equal";
    if (std::isnan(angles.value)) angles.unmeasurable = "a component does not vary, so it spans no subspace";
    if (subject.sample.n_groups >= kFewestGroups)
        angles.interval =
            spread_interval(angles.value, mean_replicates(headline, &PairNumbers::angle_replicates), 0, 90);
    if (subject.effects_only) return;
    separation.controls.push_back(
        {"labels shuffled", mean_over(headline, &PairNumbers::shuffled_silhouette)});
    separation.detail["probe_interval"] = nullptr;
    if (const auto interval = percentile(subject, mean_replicates(headline, &PairNumbers::probe_replicates)))
        separation.detail["probe_interval"] = {number(interval->lo), number(interval->hi)};
    separation.detail["probe_labels_shuffled"] = number(mean_over(headline, &PairNumbers::shuffled_probe));
    angles.controls.push_back({"labels shuffled", mean_over(headline, &PairNumbers::shuffled_angle)});
    angles.detail["random_subspaces"] = number(mean_over(headline, &PairNumbers::random_angle));
    angles.detail["overlap"] = number(mean_over(headline, &PairNumbers::overlap));
    angles.detail["random_overlap"] = number(mean_over(headline, &PairNumbers::random_overlap));
    onset = judge_onset(subject, pairs);

    Json& table = result.tables["separation"] = Json::array();
    for (const PairNumbers& pair : pairs) {
        table.push_back({{"layer", pair.layer},
                         {"rows", 2 * subject.sample.size()},
                         {"silhouette", number(pair.silhouette)},
                         {"silhouette_shuffled", number(pair.shuffled_silhouette)},
                         {"davies_bouldin", number(pair.davies_bouldin)},
                         {"calinski_harabasz", number(pair.calinski_harabasz)},
                         {"probe", number(pair.probe)},
                         {"probe_shuffled", number(pair.shuffled_probe)},
                         {"k_attention", pair.k_attention},
                         {"k_mlp", pair.k_mlp},
                         {"mean_angle", number(pair.mean_angle)},
                         {"least_angle", number(pair.least_angle)},
                         {"random_angle", number(pair.random_angle)},
                         {"overlap", number(pair.overlap)},
                         {"random_overlap", number(pair.random_overlap)},
                         {"shuffled_angle", number(pair.shuffled_angle)}});
    }
}

}  // namespace tomograph
