#include "tomograph/maps/umap.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "support/reduce_golden.h"
#include "tomograph/maps/quality.h"
#include "tomograph/maps/umap_graph.h"
#include "tomograph/maps/umap_init.h"
#include "tomograph/neighbors/neighbor_index.h"

namespace tomograph {
namespace {

using namespace test;

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

TEST(UmapCurve, FitsEveryDistanceThatFits) {
    for (const double spread : {0.01, 1.0, 100.0}) {
        for (const double share : {0.0, 1e-9, 0.1, 0.5, 1.0}) {
            const double min_dist = share * spread;
            const auto curve = fit_curve(min_dist, spread);
            EXPECT_TRUE(std::isfinite(curve.a) && curve.a > 0 && std::isfinite(curve.b) && curve.b > 0);
            for (double x = 0.05; x < 3; x += 0.05) {
                const double wanted = x < share ? 1 : std::exp(-(x - share));
                EXPECT_NEAR(1 / (1 + curve.a * std::pow(x * spread, 2 * curve.b)), wanted, 0.15)
                    << spread << ' ' << share << ' ' << x;
            }
        }
    }
}

TEST(Umap, IsFiniteOrRefused) {
    const Matrix x = clustered(300, 8, 11);
    for (const float scale : {1e-44f, 1e-38f, 1e-25f, 1e-15f, 1e10f, 1e16f, 1e25f}) {
        const Matrix scaled = scale * x;
        for (const auto metric : {Metric::euclidean, Metric::cosine, Metric::correlation}) {
            try {
                const Umap umap = fit_umap(MatrixRows(scaled), {.metric = metric, .n_epochs = 30});
                EXPECT_TRUE(umap.points.allFinite()) << scale;
                if (scale > 1e-30f) {
                    EXPECT_GT(
                        measure_quality(MatrixRows(scaled), umap.points, {.metric = metric}).trustworthiness,
                        0.8)
                        << scale << ' ' << metric_name(metric);
                }
            } catch (const Error& error) {
                EXPECT_EQ(metric, Metric::euclidean) << error.what();
                EXPECT_TRUE(scale < 1e-16f || scale > 1e16f) << error.what();
            }
        }
    }
    EXPECT_EQ(error_of([&] { fit_umap(MatrixRows(x), {.n_epochs = 30, .learning_rate = 1e300}); }),
              "the map came out with NaN or Inf: its options drive points beyond what float32 holds; lower "
              "learning_rate or repulsion_strength");
}

TEST(Umap, OfFewAndNarrowRows) {
    for (const auto& [n, d, k] : {std::tuple{4, 1, 2}, {5, 1, 5}, {16, 1, 15}, {40, 2, 39}}) {
        const Matrix x = clustered(n, d, 12);
        const Umap umap = fit_umap(MatrixRows(x), {.n_neighbors = k, .n_epochs = 30});
        EXPECT_TRUE(umap.points.allFinite()) << n;
        EXPECT_TRUE(std::isfinite(measure_quality(MatrixRows(x), umap.points).trustworthiness)) << n;
    }
}

// Neighbours' places by sorting all of them, which is what the measure saves.
TEST(Quality, IsThatOfSortedRanks) {
    Matrix x = clustered(240, 6, 13), points = 0.3f * Matrix::Random(240, 2);
    points.leftCols(2) += x.leftCols(2);
    x.middleRows(50, 20) = x.middleRows(90, 20);  // ties
    points.middleRows(10, 30) = points.middleRows(100, 30);
    const auto n = x.rows();
    for (const int k : {1, 7, 100}) {
        double excess = 0, kept = 0;
        for (Eigen::Index i = 0; i < n; ++i) {
            const auto order = [&](const Matrix& of) {
                std::vector<Eigen::Index> rows;
                for (Eigen::Index j = 0; j < n; ++j) {
                    if (j != i) rows.push_back(j);
                }
                std::stable_sort(rows.begin(), rows.end(), [&](auto a, auto b) {
                    return (of.row(a) - of.row(i)).squaredNorm() < (of.row(b) - of.row(i)).squaredNorm();
                });
                return rows;
            };
            const auto space = order(x), map = order(points);
            for (int j = 0; j < k; ++j) {
                const auto rank = std::find(space.begin(), space.end(), map[static_cast<std::size_t>(j)]) -
                                  space.begin() + 1;
                excess += static_cast<double>(std::max<std::ptrdiff_t>(rank - k, 0));
                kept += rank <= k;
            }
        }
        const double count = static_cast<double>(n);
        const auto quality = measure_quality(MatrixRows(x), points, {.k = k});
        EXPECT_NEAR(quality.trustworthiness, 1 - 2 * excess / (count * k * (2 * count - 3 * k - 1)), 1e-4)
            << k;
        EXPECT_NEAR(quality.neighbor_recall, kept / (count * k), 1e-3) << k;
    }
}

TEST(Quality, HasEqualBytesAtAnyNumberOfThreadsAndOutOfCore) {
    const Matrix x = clustered(900, 12, 14), points = x.leftCols(2);
    const auto one = measure_quality(MatrixRows(x), points, {.threads = 1}),
               four = measure_quality(BlockedRows(x), points, {.threads = 4});
    EXPECT_EQ(one.trustworthiness, four.trustworthiness);
    EXPECT_EQ(one.neighbor_recall, four.neighbor_recall);
}

TEST(Quality, NeedsPointsOfTheRows) {
    const Matrix x = clustered(10, 3, 15);
    EXPECT_EQ(error_of([&] { measure_quality(MatrixRows(x), Matrix::Zero(9, 2)); }),
              "cannot compare 10 rows with 9 points");
    EXPECT_EQ(error_of([&] { measure_quality(MatrixRows(x.data(), 3, 3), Matrix::Zero(3, 2)); }),
              "cannot judge a map of 3 points; select more rows");
    EXPECT_EQ(silhouette(x, std::vector<std::int32_t>(10, 4)), 0);
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
