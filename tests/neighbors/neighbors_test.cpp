#include "tomograph/neighbors/neighbors.h"

#include <algorithm>
#include <limits>
#include <set>

#include "support/reduce_golden.h"
#include "tomograph/linear/finite.h"
#include "tomograph/linear/panels.h"
#include "tomograph/neighbors/byte_vectors.h"
#include "tomograph/neighbors/distances.h"

namespace tomograph {
namespace {

using namespace testing;
using Search = NeighborOptions::Search;

TEST(Panels, TileAgreesWithPlainProduct) {
    for (const std::int64_t k : {1, 7, 96}) {
        const Matrix a = Matrix::Random(48, k), b = Matrix::Random(41, k);
        const auto left = make_float_buffer(panel_floats(k)), right = make_float_buffer(panel_floats(k));
        const auto tile = make_float_buffer(tile_size);
        pack_panel(a.data(), 48, k, k, left.get());
        pack_panel(b.data(), 41, k, k, right.get());
        multiply_panels(left.get(), right.get(), k, tile.get());
        const Matrix expected = a * b.transpose();
        EXPECT_LT((MatrixView(tile.get(), 48, 48).leftCols(41) - expected).cwiseAbs().maxCoeff(), 1e-4);
        EXPECT_EQ(MatrixView(tile.get(), 48, 48).rightCols(7).norm(), 0);
    }
}

TEST(Distances, AgreeWithPlainSums) {
    const Matrix rows = Matrix::Random(9, 48);
    const std::int32_t ids[] = {8, 0, 3, 3, 5};
    float squared[5];
    squared_distances(rows.row(2).data(), rows.data(), 48, ids, 5, squared);
    for (int i = 0; i < 5; ++i) EXPECT_NEAR(squared[i], (rows.row(2) - rows.row(ids[i])).squaredNorm(), 1e-4);
    const Vector scores = Vector::Random(48), minus = Vector::Random(48);
    const auto bits = above(scores.data(), minus.data(), 0.2f);
    for (int j = 0; j < 48; ++j) EXPECT_EQ(bits >> j & 1, scores[j] - minus[j] > 0.2f);
}

TEST(ByteVectors, ScoreLikeTheVectorsTheyRound) {
    constexpr std::int64_t n = 21, dim = 100;
    Matrix rows = Matrix::Random(n, dim);
    rows.col(3).array() += 40;  // a massive coordinate
    const Vector center = rows.colwise().mean();
    ByteVectors bytes(n, dim);
    for (std::int64_t i = 0; i < n; ++i) bytes.set(i, rows.row(i).data(), center);
    std::vector<float> tile(n * 32), scores(n);
    std::vector<std::int32_t> ids(n);
    bytes.score_tile(bytes, 2, 7, 5, 15, 32, tile.data());
    for (std::int64_t i = 0; i < n; ++i) ids[i] = static_cast<std::int32_t>(n - 1 - i);
    bytes.score_ids(bytes, 4, ids.data(), n, scores.data());
    const auto expected = [&](std::int64_t a, std::int64_t b) {
        return -0.5f * (rows.row(a) - rows.row(b)).squaredNorm();
    };
    for (std::int64_t j = 0; j < n; ++j) {
        EXPECT_NEAR(scores[j], expected(4, ids[j]), 0.3);  // of about 33
        if (j >= 15) continue;
        for (std::int64_t i = 0; i < 7; ++i) EXPECT_NEAR(tile[i * 32 + j], expected(2 + i, 5 + j), 0.3);
        EXPECT_NEAR(tile[2 * 32 + j], scores[n - 1 - (5 + j)], 1e-4);
    }
}

class GoldenNeighbors : public ::testing::TestWithParam<const char*> {};

TEST_P(GoldenNeighbors, ExactAgreesWithScipy) {
    const Matrix x = to_matrix(golden()["x"]);
    const Json& expected = golden()["neighbors"][GetParam()];
    const Matrix distances = to_matrix(expected["distances"]);
    const auto found = find_neighbors(MatrixRows(x), 10, {.metric = parse_metric(GetParam())});
    EXPECT_EQ(found.method, "exact");
    EXPECT_EQ(found.recall, 1);
    int differing = 0;
    for (int i = 0; i < x.rows(); ++i) {
        for (int j = 0; j < 10; ++j) {
            // One coordinate is near 500: float32 rows say no more than this about angles.
            EXPECT_NEAR(found.distances(i, j), distances(i, j), 2e-5 * distances(i, j) + 1e-9)
                << i << ' ' << j;
            differing += found.indices(i, j) != expected["indices"][i][j].get<int>();
        }
    }
    EXPECT_LE(differing, 4);  // near ties
}
INSTANTIATE_TEST_SUITE_P(Metrics, GoldenNeighbors, ::testing::Values("cosine", "euclidean", "correlation"));

TEST(Neighbors, ApproximateFindsNearlyAll) {
    const Matrix x = clustered(6000, 64, 1);
    const auto exact = find_neighbors(MatrixRows(x), 15, {.search = Search::exact});
    const auto found = find_neighbors(MatrixRows(x), 15, {.search = Search::approximate});
    std::int64_t common = 0;
    for (int i = 0; i < x.rows(); ++i) {
        const auto row = found.indices.row(i);
        const std::set<std::int32_t> mine(row.begin(), row.end());
        EXPECT_EQ(mine.size(), 15u);
        EXPECT_FALSE(mine.contains(i));
        for (int j = 0; j < 15; ++j) common += mine.contains(exact.indices(i, j));
    }
    const double recall = static_cast<double>(common) / static_cast<double>(15 * x.rows());
    EXPECT_GE(recall, 0.94);
    EXPECT_NEAR(found.recall, recall, 0.02);
}

TEST(Neighbors, TightGroupsFarApartAreToldFromWithin) {
    // Within a group, rows differ by less than a byte of the whole can say.
    Matrix x = 1e-3f * clustered(4000, 128, 7);
    for (int i = 0; i < 4000; ++i) x(i, i % 100) += 10;
    const auto found = find_neighbors(MatrixRows(x), 10, {.search = Search::approximate});
    EXPECT_GE(found.recall, 0.95);
}

TEST(Neighbors, EqualBytesAtAnyNumberOfThreadsAndOutOfCore) {
    const Matrix x = clustered(5000, 64, 2);
    const auto run = [&](const RowSource& rows, int threads) {
        return find_neighbors(rows, 10,
                              {.metric = Metric::cosine,
                               .search = Search::approximate,
                               .target_recall = 1,
                               .threads = threads});
    };
    const auto one = run(MatrixRows(x), 1), eight = run(MatrixRows(x), 8), blocked = run(BlockedRows(x), 2);
    EXPECT_TRUE(same_bytes(one.indices, eight.indices));
    EXPECT_TRUE(same_bytes(one.distances, eight.distances));
    EXPECT_TRUE(same_bytes(one.indices, blocked.indices));
    EXPECT_TRUE(same_bytes(one.distances, blocked.distances));
    EXPECT_EQ(one.recall, eight.recall);
    EXPECT_EQ(one.method, eight.method);
}

TEST(Neighbors, EqualRowsChooseAmongThemselves) {
    Matrix x = clustered(1200, 20, 3);
    for (int i = 200; i < 1000; ++i) x.row(i) = x.row(0);
    for (const auto search : {Search::exact, Search::approximate}) {
        const auto found = find_neighbors(MatrixRows(x), 15, {.search = search});
        std::set<std::int32_t> chosen;
        for (int i = 200; i < 1000; ++i) {
            const auto row = found.indices.row(i);
            EXPECT_EQ(found.distances.row(i).norm(), 0);
            EXPECT_EQ(std::set<std::int32_t>(row.begin(), row.end()).size(), 15u);
            for (const auto other : row) {
                EXPECT_NE(other, i);
                EXPECT_TRUE(other == 0 || (other >= 200 && other < 1000));
                chosen.insert(other);
            }
        }
        EXPECT_GT(chosen.size(), 700u);  // a mixed group, not a star around a few
    }
}

TEST(Neighbors, RowsWithoutADirectionAreAlikeAndFarFromOthers) {
    Matrix x = clustered(60, 12, 4);
    x.row(5).setZero();
    x.row(40).setZero();
    const auto found = find_neighbors(MatrixRows(x), 3, {.metric = Metric::cosine});
    EXPECT_EQ(found.indices(5, 0), 40);
    EXPECT_EQ(found.distances(5, 0), 0);
    EXPECT_FLOAT_EQ(found.distances(5, 1), 1);
    x.row(5).setConstant(2);
    x.row(40).setConstant(-0.3f);
    const auto constant = find_neighbors(MatrixRows(x), 3, {.metric = Metric::correlation});
    EXPECT_EQ(constant.indices(5, 0), 40);
    EXPECT_FLOAT_EQ(constant.distances(5, 1), 1);
}

TEST(Neighbors, AllRowsEqual) {
    const Matrix x = Matrix::Constant(40, 8, 1.5f);
    const auto found = find_neighbors(MatrixRows(x), 5);
    EXPECT_EQ(found.distances.norm(), 0);
    for (int i = 0; i < 40; ++i) EXPECT_EQ((found.indices.row(i).array() == i).count(), 0);
}

TEST(NeighborIndex, QueriesFindThemselves) {
    const Matrix x = clustered(3000, 32, 5), queries = x.topRows(500);
    const NeighborIndex index(MatrixRows(x), {.search = Search::approximate});
    const auto found = index.query(MatrixRows(queries), 4);
    for (int i = 0; i < 500; ++i) {
        EXPECT_EQ(found.indices(i, 0), i);
        EXPECT_EQ(found.distances(i, 0), 0);
    }
}

TEST(Neighbors, BadInput) {
    Matrix x = clustered(10, 4, 6);
    EXPECT_EQ(error_of([&] { find_neighbors(MatrixRows(x), 10); }),
              "cannot find 10 neighbours among 9 other rows; ask for 1 to 9, or select more rows");
    EXPECT_EQ(error_of([&] { find_neighbors(MatrixRows(x.data(), 1, 4), 1); }),
              "cannot search neighbours among 1 rows; select more rows");
    EXPECT_EQ(error_of([] { parse_metric("manhattan"); }),
              "no metric \"manhattan\"; use cosine, euclidean or correlation");
    x(7, 1) = -std::numeric_limits<float>::infinity();
    try {
        find_neighbors(MatrixRows(x), 2);
        FAIL();
    } catch (const NonFinite& error) {
        EXPECT_EQ(error.row, 7);
    }
}

}  // namespace
}  // namespace tomograph
