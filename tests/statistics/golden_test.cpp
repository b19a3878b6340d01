// Every measure against scikit-learn, scikit-dimension, SciPy and NumPy: tests/golden/measure/make.py.
#include <gtest/gtest.h>

#include <Eigen/QR>

#include "tomograph/linear/pca.h"
#include "tomograph/neighbors/neighbors.h"
#include "tomograph/statistics/cka.h"
#include "tomograph/statistics/clouds.h"
#include "tomograph/statistics/concentration.h"
#include "tomograph/statistics/dimension.h"
#include "tomograph/statistics/positions.h"
#include "tomograph/statistics/probe.h"
#include "tomograph/statistics/statistics.h"
#include "tomograph/statistics/subspaces.h"
#include "tomograph/store/safetensors.h"

namespace tomograph {
namespace {

constexpr double kRelative = 1e-4;

Matrix golden(const std::string& name) {
    static const Safetensors file(TOMOGRAPH_TEST_DATA "/measure/measure.safetensors");
    const auto& tensor = file.at(name);
    Matrix values(tensor.n_rows(), tensor.width());
    tensor.read_rows(0, tensor.n_rows(), values.data());
    return values;
}

void expect_close(double got, double want, const std::string& what) {
    EXPECT_NEAR(got, want, kRelative * std::abs(want))
        << what << "; remake with tests/golden/measure/make.py";
}

std::vector<std::int32_t> to_integers(const Matrix& values) {
    std::vector<std::int32_t> integers;
    for (const float value : values.reshaped<Eigen::RowMajor>())
        integers.push_back(static_cast<std::int32_t>(value));
    return integers;
}

TEST(Golden, SilhouetteDaviesBouldinAndCalinskiHarabaszAreScikitLearns) {
    const CloudScores scores = compare_clouds(golden("clouds.a"), golden("clouds.b"));
    const Matrix want = golden("clouds.scores");
    expect_close(scores.silhouette, want(0), "silhouette");
    expect_close(scores.davies_bouldin, want(1), "Davies-Bouldin");
    expect_close(scores.calinski_harabasz, want(2), "Calinski-Harabasz");
}

TEST(Golden, ProbeDecidesAsScikitLearnsRidgeClassifier) {
    const Matrix labels = golden("probe.labels"), want = golden("probe.decisions");
    const Matrix decisions = probe_decisions(golden("probe.rows"), labels, to_integers(golden("probe.fold")));
    for (Eigen::Index i = 0; i < want.rows(); ++i)
        EXPECT_NEAR(decisions(i, 0), want(i, 0), kRelative) << "row " << i;
    expect_close(balanced_accuracy(decisions.col(0), labels.col(0)), golden("probe.balanced_accuracy")(0),
                 "balanced accuracy");
}

/// Orthonormal rows with the span of x's.
MatrixD orthonormal(const Matrix& x) {
    const Eigen::HouseholderQR<Eigen::MatrixXd> qr(x.cast<double>().transpose());
    return (qr.householderQ() * Eigen::MatrixXd::Identity(x.cols(), x.rows())).transpose();
}

TEST(Golden, SubspaceOverlapIsOfSciPysAngles) {
    const MatrixD a = orthonormal(golden("subspaces.a")), b = orthonormal(golden("subspaces.b"));
    const Matrix angles = golden("subspaces.angles");
    const double squares = angles.cast<double>().array().cos().square().sum();
    expect_close(subspace_overlap(a, b), static_cast<float>(squares / static_cast<double>(a.rows())),
                 "overlap");
}

TEST(Golden, IntrinsicDimensionsAreScikitDimensions) {
    const Matrix rows = golden("dimension.rows");
    const Neighbors near = find_neighbors(MatrixRows(rows), 20, {.search = NeighborOptions::Search::exact});
    expect_close(two_nn(near.distances), golden("dimension.two_nn")(0), "TwoNN");
    expect_close(mle_dimension(near.distances), golden("dimension.mle")(0), "MLE");
    const Pca pca = fit_pca(MatrixRows(rows), {.n_components = 0});
    expect_close(participation_ratio(pca.explained_variance), golden("dimension.participation_ratio")(0),
                 "participation ratio");
    expect_close(entropy_rank(pca.explained_variance), golden("dimension.effective_rank")(0), "entropy rank");
}

TEST(Golden, CkaIsNumPysInEitherForm) {
    const Matrix x = golden("cka.x"), y = golden("cka.y"), z = golden("cka.z"), want = golden("cka.values");
    expect_close(linear_cka(x, y), want(0), "x, y");
    expect_close(linear_cka(x, z), want(1), "x, z");
    expect_close(linear_cka(y, z), want(2), "y, z");
    expect_close(linear_cka(x.topRows(8), y.topRows(8)), golden("cka.few_rows")(0), "few rows");
    std::vector<std::int32_t> group(80);
    for (std::size_t i = 0; i < group.size(); ++i) group[i] = static_cast<std::int32_t>(i / 16);
    const std::vector<Matrix> layers{x, y, z};
    const MatrixD table = CkaTable(layers, group, 5, 1).cka();
    expect_close(table(0, 1), want(0), "table x, y");
    expect_close(table(2, 0), want(1), "table x, z");
    expect_close(table(1, 2), want(2), "table y, z");
    EXPECT_NEAR(table(1, 1), 1, 1e-6);
    const MatrixD without = CkaTable(layers, group, 5, 2).cka(std::vector<double>{1, 0, 1, 1, 1});
    const Matrix kept = golden("cka.without_a_group");
    expect_close(without(0, 1), kept(0), "without a group, x, y");
    expect_close(without(0, 2), kept(1), "without a group, x, z");
    expect_close(without(1, 2), kept(2), "without a group, y, z");
}

TEST(Golden, PositionShareIsAnAnalysisOfVariance) {
    const Matrix rows = golden("positions.rows");
    PositionTable table(6, 9, 5);
    for (int s = 0; s < 6; ++s) table.add(s, rows.middleRows(9 * s, 9));
    table.finish();
    expect_close(table.eta2(), golden("positions.eta2")(0), "eta squared");
    EXPECT_NEAR(table.shuffled_eta2(), golden("positions.shuffled_eta2")(0),
                1e-3);  // theirs is a mean of shuffles
}

TEST(Golden, AnisotropyAndAuroc) {
    const Matrix rows = golden("probe.rows");
    const std::vector<std::int32_t> group(static_cast<std::size_t>(rows.rows()), 0);
    expect_close(Anisotropy(rows, group, 1).value(), golden("anisotropy")(0), "mean cosine of pairs");
    const Matrix values = golden("auroc.scores");
    std::vector<double> scores;
    std::vector<std::uint8_t> planted;
    for (Eigen::Index i = 0; i < values.size(); ++i) {
        scores.push_back(values(i));
        planted.push_back(i < 15);
    }
    expect_close(auroc(scores, planted), golden("auroc.value")(0), "AUROC with ties");
}

TEST(Golden, ProcrustesDistanceIsThatOfNumPysSingularValues) {
    expect_close(procrustes_distance(golden("cka.x"), golden("cka.z")), golden("procrustes")(0),
                 "Procrustes");
}

}  // namespace
}  // namespace tomograph
