#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <numbers>

#include "tomograph/findings/list.h"
#include "tomograph/findings/pair_means.h"
#include "tomograph/statistics/dimension.h"
#include "tomograph/statistics/subspaces.h"

namespace tomograph {
namespace {

constexpr int kAngleReplicates = 40;
constexpr std::int64_t kMostAngles = 64;
constexpr double kDegrees = 180 / std::numbers::pi;

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
    Resampled(const Matrix& rows, const Pca& pca, std::int64_t k, const SampleRows& sample)
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

struct Angles {
    std::int64_t k_attention = 0, k_mlp = 0;
    double mean_angle = kNoNumber, least_angle = kNoNumber, overlap = kNoNumber, random_overlap = kNoNumber,
           random_angle = kNoNumber;  // degrees
    double shuffled_angle = kNoNumber;
    std::vector<double> replicates;
};

class AttnMlpAngles final : public Measurement {
  public:
    explicit AttnMlpAngles(Subject& subject)
        : subject_(subject), layers_(paired_layers(subject)), numbers_(layers_.size()) {}

    void layer(LayerPair& pair) override {
        Angles& numbers = numbers_[pair.index()];
        const Pca &attention = pair.attention.pca(), &mlp = pair.mlp.pca();
        const std::int64_t k_a = numbers.k_attention = subspace_size(attention),
                           k_m = numbers.k_mlp = subspace_size(mlp);
        if (k_a == 0 || k_m == 0) return;
        const std::int64_t d = pair.attention.rows().cols();
        const MatrixD a = leading(attention, k_a), m = leading(mlp, k_m);
        numbers.mean_angle = kDegrees * mean_angle(a, m);
        if (subject_.effects_only) return;
        numbers.least_angle = kDegrees * principal_angles(a, m).back();
        numbers.overlap = subspace_overlap(a, m);
        numbers.random_overlap = random_overlap(k_a, k_m, d);
        numbers.random_angle = kDegrees * random_mean_angle(k_a, k_m, d, subject_.options.seed, 1);
        if (!pair.headline()) return;
        numbers.shuffled_angle = shuffled_angle(pair, static_cast<int>(k_a), static_cast<int>(k_m));
        const Resampled side_a(pair.attention.rows(), attention, k_a, subject_.sample),
            side_m(pair.mlp.rows(), mlp, k_m, subject_.sample);
        const MatrixD cross = side_a.basis() * side_m.basis().transpose();
        for (int r = 0; r < std::min(subject_.options.bootstrap, kAngleReplicates); ++r) {
            const auto weights = bootstrap_weights(subject_.sample.n_groups, subject_.options.seed, r);
            const MatrixD in_a = side_a.components(weights) * cross;  // [k_a, q_m]
            numbers.replicates.push_back(kDegrees * mean_angle(in_a, side_m.components(weights)));
        }
    }

    Effect finish() override {
        Effect effect;
        effect.unmeasurable = lacks_pairs(subject_);
        if (!effect.unmeasurable.empty()) return effect;
        const PairMeans<Angles> means(subject_, layers_, numbers_);
        effect.value = means.mean(&Angles::mean_angle);
        if (std::isnan(effect.value))
            effect.unmeasurable = "a component does not vary, so it spans no subspace";
        if (subject_.sample.n_groups >= kFewestGroups)
            effect.interval = spread_interval(effect.value, means.replicates(&Angles::replicates), 0, 90);
        if (subject_.effects_only) return effect;
        effect.controls.push_back({"labels shuffled", means.mean(&Angles::shuffled_angle)});
        effect.detail["random_subspaces"] = number(means.mean(&Angles::random_angle));
        effect.detail["overlap"] = number(means.mean(&Angles::overlap));
        effect.detail["random_overlap"] = number(means.mean(&Angles::random_overlap));
        add_to_table();
        effect.charts.push_back(chart());
        return effect;
    }

  private:
    double shuffled_angle(const LayerPair& pair, int k_a, int k_m) const {
        Matrix a = pair.attention.rows(), m = pair.mlp.rows();
        const auto labels = pair_labels(a.rows(), subject_.options.seed, 1);
        for (Eigen::Index i = 0; i < a.rows(); ++i) {
            if (labels[static_cast<std::size_t>(i)] == 1) a.row(i).swap(m.row(i));
        }
        const Pca pca_a = fit_pca(MatrixRows(a), {.n_components = k_a, .threads = 1}),
                  pca_m = fit_pca(MatrixRows(m), {.n_components = k_m, .threads = 1});
        return kDegrees * mean_angle(leading(pca_a, k_a), leading(pca_m, k_m));
    }

    void add_to_table() const {
        Json& table = pair_table(subject_);
        for (std::size_t i = 0; i < layers_.size(); ++i) {
            Json& line = table[i];
            line["k_attention"] = numbers_[i].k_attention;
            line["k_mlp"] = numbers_[i].k_mlp;
            line["mean_angle"] = number(numbers_[i].mean_angle);
            line["least_angle"] = number(numbers_[i].least_angle);
            line["random_angle"] = number(numbers_[i].random_angle);
            line["overlap"] = number(numbers_[i].overlap);
            line["random_overlap"] = number(numbers_[i].random_overlap);
            line["shuffled_angle"] = number(numbers_[i].shuffled_angle);
        }
    }

    Chart chart() const {
        ChartLine line{.name = "attention against MLP"}, chance{.name = "random subspaces", .control = true};
        for (std::size_t i = 0; i < layers_.size(); ++i) {
            line.layer.push_back(layers_[i]);
            line.value.push_back(numbers_[i].mean_angle);
            chance.value.push_back(numbers_[i].random_angle);
        }
        chance.layer = line.layer;
        return {.name = "angles-by-layer",
                .title = "Angle between attention and MLP outputs",
                .caption =
                    "Mean principal angle by layer beside random subspaces of the same sizes; 90 "
                    "degrees is orthogonal.",
                .shape = LayerChart{.y_label = "mean angle, degrees",
                                    .lines = {std::move(line), std::move(chance)}}};
    }

    Subject& subject_;
    std::vector<int> layers_;
    std::vector<Angles> numbers_;
};

}  // namespace

const FindingKind findings::attn_mlp_angles{
    .name = "attn_mlp_angles",
    .effect_is = "mean principal angle between their subspaces, degrees",
    .controls = "labels shuffled",
    .twin_counts = true,
    .measure = [](Subject& subject) -> std::unique_ptr<Measurement> {
        return std::make_unique<AttnMlpAngles>(subject);
    }};

}  // namespace tomograph
