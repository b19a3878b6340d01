#include "tomograph/maps/umap.h"

#include <cmath>
#include <limits>
#include <map>

#include "support/reduce_golden.h"
#include "tomograph/maps/quality.h"
#include "tomograph/maps/umap_graph.h"
#include "tomograph/maps/umap_init.h"

namespace tomograph {
namespace {

using namespace testing;

TEST(UmapCurve, AgreesWithUmapLearn) {
    for (const Json& expected : golden()["curves"]) {
        const auto curve = fit_curve(expected["min_dist"], expected["spread"]);
        EXPECT_NEAR(curve.a, expected["a"].get<double>(), 1e-4 * expected["a"].get<double>()) << expected;
        EXPECT_NEAR(curve.b, expected["b"].get<double>(), 1e-4 * expected["b"].get<double>()) << expected;
    }
    EXPECT_EQ(
        error_of([] { fit_curve(2, 1); }),
        "no map with min_dist 2 and spread 1: spread must be above 0 and min_dist between 0 and spread");
}

TEST(UmapGraph, AgreesWithUmapLearn) {
    const Json& expected = golden()["umap_graph"];
    const Matrix x = to_matrix(golden()["x"]);
    const auto neighbors = find_neighbors(MatrixRows(x), expected["k"].get<int>() - 1);
    const auto scales = smooth_distances(neighbors, 2);
    for (int i = 0; i < x.rows(); ++i) {
        EXPECT_NEAR(scales.rho[i], expected["rho"][i].get<float>(), 1e-4);
        EXPECT_NEAR(scales.sigma[i], expected["sigma"][i].get<float>(),
                    2e-3 * expected["sigma"][i].get<float>());
    }
    std::map<std::pair<int, int>, float> weights;
    for (std::size_t e = 0; e < expected["weights"].size(); ++e) {
        weights[{expected["rows"][e].get<int>(), expected["columns"][e].get<int>()}] =
            expected["weights"][e].get<float>();
    }
    const auto graph = fuzzy_union(neighbors, 2);
    ASSERT_EQ(graph.n(), x.rows());
    std::size_t missing = 0;
    for (int i = 0; i < graph.n(); ++i) {
        for (auto e = graph.offsets[i]; e < graph.offsets[i + 1]; ++e) {
            const auto at = weights.find({i, graph.targets[e]});
            if (at == weights.end()) {
                ++missing;
            } else {
                EXPECT_NEAR(graph.weights[e], at->second, 2e-3);
            }
        }
    }
    EXPECT_LE(missing, 4u);  // near ties among the neighbours
    EXPECT_NEAR(static_cast<double>(graph.targets.size()), static_cast<double>(weights.size()), 8);
}

TEST(Quality, AgreesWithScikitLearn) {
    const Matrix x = to_matrix(golden()["x"]), points = to_matrix(golden()["points"]);
    for (const char* metric : {"euclidean", "cosine"}) {
        const auto quality = measure_quality(MatrixRows(x), points, {.metric = parse_metric(metric), .k = 7});
        EXPECT_NEAR(quality.trustworthiness, golden()["trustworthiness"][metric].get<double>(), 2e-4)
            << metric;
        EXPECT_EQ(quality.n_sampled, 150);
    }
    const auto labels = golden()["labels"].get<std::vector<std::int32_t>>();
    EXPECT_NEAR(silhouette(points, labels), golden()["silhouette"].get<double>(), 1e-5);
    EXPECT_EQ(measure_quality(MatrixRows(points), points).neighbor_recall, 1);
}

TEST(Umap, IsAsTrustworthyAsUmapLearn) {
    const Json& expected = golden()["map"];
    const Matrix x = to_matrix(expected["x"]);
    const auto n_fit = expected["n_fit"].get<std::int64_t>();
    const Matrix fit_rows = x.topRows(n_fit), new_rows = x.bottomRows(x.rows() - n_fit);
    const NeighborIndex index(MatrixRows(fit_rows), neighbor_options({}));
    for (const auto init : {UmapOptions::Init::pca, UmapOptions::Init::spectral}) {
        const Umap umap = fit_umap(MatrixRows(fit_rows), index, index.neighbors(14), {.init = init});
        EXPECT_GE(measure_quality(MatrixRows(fit_rows), umap.points).trustworthiness,
                  expected["trustworthiness"].get<double>() - 0.01);
        Matrix all(x.rows(), 2);
        all << umap.points, transform(umap, index, MatrixRows(new_rows));
        EXPECT_GE(measure_quality(MatrixRows(x), all).trustworthiness,
                  expected["new_trustworthiness"].get<double>() - 0.02);
    }
}

TEST(Umap, EqualBytesAtAnyNumberOfThreadsAndOutOfCore) {
    const Matrix x = clustered(12000, 24, 1), fresh = clustered(700, 24, 2);
    UmapOptions options{.n_epochs = 20, .threads = 1};
    const NeighborIndex index(MatrixRows(x), neighbor_options(options));
    const Umap one = fit_umap(MatrixRows(x), index, index.neighbors(options.n_neighbors - 1), options);
    EXPECT_EQ(one.init, "multilevel");
    options.threads = 4;
    const Umap four = fit_umap(MatrixRows(x), options), blocked = fit_umap(BlockedRows(x), options);
    EXPECT_TRUE(same_bytes(one.points, four.points));
    EXPECT_TRUE(same_bytes(one.points, blocked.points));
    EXPECT_TRUE(
        same_bytes(transform(one, index, MatrixRows(fresh)), transform(four, index, BlockedRows(fresh))));
    options.seed = 7;
    EXPECT_FALSE(same_bytes(one.points, fit_umap(MatrixRows(x), options).points));
}

TEST(Umap, ThreeDimensions) {
    const Matrix x = clustered(800, 16, 3, 5);
    const Umap umap = fit_umap(MatrixRows(x), {.n_components = 3, .n_epochs = 200});
    ASSERT_EQ(umap.points.cols(), 3);
    EXPECT_GT(measure_quality(MatrixRows(x), umap.points).trustworthiness, 0.9);
}

TEST(Umap, ThousandsOfEqualRowsSpreadToADisc) {
    Matrix x = clustered(2000, 16, 4);
    for (int i = 500; i < 1500; ++i) x.row(i) = x.row(499);
    const Umap umap = fit_umap(MatrixRows(x), {.metric = Metric::cosine, .n_epochs = 200});
    ASSERT_TRUE(umap.points.allFinite());
    const Matrix equal = umap.points.middleRows(500, 1000);
    const Eigen::RowVectorXf deviation =
        ((equal.rowwise() - equal.colwise().mean()).array().square().colwise().mean()).sqrt();
    EXPECT_GT(deviation.minCoeff(), 0.2f);  // neither a point nor a line
}

TEST(Umap, DegenerateRows) {
    const Umap flat = fit_umap(MatrixRows(Matrix::Constant(60, 8, 2.0f)), {.n_epochs = 50});
    EXPECT_TRUE(flat.points.allFinite());
    Matrix zeros = clustered(60, 8, 5);
    zeros.topRows(10).setZero();
    EXPECT_TRUE(fit_umap(MatrixRows(zeros), {.metric = Metric::cosine, .n_epochs = 50}).points.allFinite());
    EXPECT_TRUE(fit_umap(MatrixRows(clustered(15, 8, 6)), {.n_epochs = 50}).points.allFinite());
}

TEST(Umap, BadInput) {
    const Matrix x = clustered(14, 8, 7);
    EXPECT_EQ(error_of([&] { fit_umap(MatrixRows(x)); }),
              "cannot map 14 rows with n_neighbors 15: there are fewer rows than neighbours; select more "
              "rows or lower "
              "n_neighbors");
    EXPECT_EQ(error_of([&] { fit_umap(MatrixRows(x), {.n_components = 5}); }),
              "no map of 5 dimensions; ask for 2 or 3");
    const NeighborIndex index(MatrixRows(x), {});
    EXPECT_EQ(error_of([&] { fit_umap(MatrixRows(x), index, index.neighbors(3), {.n_neighbors = 5}); }),
              "cannot map 14 rows: the neighbours given are 3 of 14 rows");
    EXPECT_EQ(error_of([&] { fit_umap(MatrixRows(x), {.n_neighbors = 1}); }),
              "no map with n_neighbors 1: a row itself counts as one; use 2 or more");
    Matrix bad = clustered(40, 8, 8);
    bad(31, 2) = std::numeric_limits<float>::quiet_NaN();
    EXPECT_EQ(error_of([&] { fit_umap(MatrixRows(bad)); }).substr(0, 24), "row 31 holds NaN or Inf:");
    StoppedProgress stop;
    EXPECT_THROW(fit_umap(MatrixRows(clustered(100, 8, 9)), {}, stop), Stopped);
}

TEST(UmapInit, SpectralNeedsAConnectedGraph) {
    Matrix apart = clustered(200, 8, 10, 1);
    apart.bottomRows(100).array() += 1000;
    const auto neighbors = find_neighbors(MatrixRows(apart), 5);
    const auto graph = fuzzy_union(neighbors, 1);
    EXPECT_GE(count_components(graph), 2);
    EXPECT_FALSE(spectral_init(graph, 2, 0, 1).has_value());
    const Umap umap = fit_umap(MatrixRows(apart), {.n_epochs = 20, .init = UmapOptions::Init::spectral});
    EXPECT_EQ(umap.init, "pca");
}

}  // namespace
}  // namespace tomograph
