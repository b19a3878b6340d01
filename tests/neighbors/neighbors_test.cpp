#include "tomograph/neighbors/neighbors.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>
#include <vector>

#include "support/reduce_golden.h"
#include "tomograph/linear/finite.h"
#include "tomograph/neighbors/neighbor_index.h"

namespace tomograph {
namespace {

using namespace test;
using Search = NeighborOptions::Search;

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

/// The k nearest by plain float64 distances between rows.
MatrixD true_distances(const Matrix& x, int k) {
    MatrixD nearest(x.rows(), k);
    for (Eigen::Index i = 0; i < x.rows(); ++i) {
        std::vector<double> all;
        for (Eigen::Index j = 0; j < x.rows(); ++j) {
            if (j != i) all.push_back((x.row(i) - x.row(j)).cast<double>().norm());
        }
        std::partial_sort(all.begin(), all.begin() + k, all.end());
        for (int c = 0; c < k; ++c) nearest(i, c) = all[static_cast<std::size_t>(c)];
    }
    return nearest;
}

/// Whoever is listed is at the distance listed, and nobody is listed twice.
void expect_honest(const Matrix& x, const Neighbors& found) {
    for (Eigen::Index i = 0; i < x.rows(); ++i) {
        std::set<std::int32_t> seen;
        for (Eigen::Index j = 0; j < found.indices.cols(); ++j) {
            const auto other = found.indices(i, j);
            ASSERT_TRUE(other >= 0 && other < x.rows() && other != i);
            EXPECT_TRUE(seen.insert(other).second) << i << ' ' << j;
            const double distance = (x.row(i) - x.row(other)).cast<double>().norm();
            EXPECT_NEAR(found.distances(i, j), distance, 1e-4 * distance + 1e-6) << i << ' ' << j;
            if (j > 0) {
                EXPECT_GE(found.distances(i, j), found.distances(i, j - 1));
            }
        }
    }
}

// Sizes around those of panels, of blocks that meet each other, and of odd and even numbers of blocks.
TEST(Neighbors, ExactFindsAllWhateverTheNumberOfRows) {
    for (const int n : {2, 3, 47, 48, 49, 191, 192, 193, 384, 385, 600, 1000}) {
        const Matrix x = clustered(n, 11, static_cast<std::uint64_t>(n));
        const int k = std::min(7, n - 1);
        const auto found = find_neighbors(MatrixRows(x), k, {.search = Search::exact, .threads = 3});
        expect_honest(x, found);
        EXPECT_LT((found.distances.cast<double>() - true_distances(x, k)).cwiseAbs().maxCoeff(), 1e-4) << n;
    }
}

TEST(Neighbors, ExactHasEqualBytesAtAnyNumberOfThreadsAndOutOfCore) {
    const Matrix x = clustered(2100, 40, 21);
    const auto run = [&](const RowSource& rows, int threads) {
        return find_neighbors(rows, 12, {.search = Search::exact, .threads = threads});
    };
    const auto one = run(MatrixRows(x), 1), four = run(MatrixRows(x), 4), blocked = run(BlockedRows(x), 2);
    EXPECT_TRUE(same_bytes(one.indices, four.indices));
    EXPECT_TRUE(same_bytes(one.distances, four.distances));
    EXPECT_TRUE(same_bytes(one.indices, blocked.indices));
}

// Far from the origin and from each other, products of whole vectors would drown what is near.
TEST(Neighbors, ExactTellsRowsOfTightGroupsFarApart) {
    Matrix x = 1e-3f * clustered(1200, 64, 22);
    for (int i = 0; i < 1200; ++i) x(i, i % 60) += 300;
    const auto found = find_neighbors(MatrixRows(x), 5, {.search = Search::exact});
    const MatrixD truth = true_distances(x, 5);
    for (int i = 0; i < 1200; ++i) EXPECT_NEAR(found.distances(i, 4), truth(i, 4), 1e-3 * truth(i, 4)) << i;
}

TEST(Neighbors, OfNearlyAllRowsAreAllTheOthers) {
    const Matrix x = clustered(60, 9, 23);
    for (const auto search : {Search::exact, Search::approximate}) {
        for (const int k : {58, 59}) {
            const auto found = find_neighbors(MatrixRows(x), k, {.search = search});
            expect_honest(x, found);
            EXPECT_LT((found.distances.cast<double>() - true_distances(x, k)).cwiseAbs().maxCoeff(), 1e-4);
        }
    }
}

// The lists that are looked at hold fewer than are asked for.
TEST(Neighbors, ManyAreTheTrueOnesOnceListsRunOut) {
    const Matrix x = clustered(2000, 24, 24);
    const auto found = find_neighbors(
        MatrixRows(x), 700, {.search = Search::approximate, .target_recall = 0, .rows_compared = 100});
    expect_honest(x, found);
    EXPECT_LT((found.distances.cast<double>() - true_distances(x, 700)).cwiseAbs().maxCoeff(), 1e-3);
}

TEST(Neighbors, OfTwoRowsAreEachOther) {
    Matrix x(2, 1);
    x << 1, 4;
    for (const auto search : {Search::exact, Search::approximate}) {
        const auto found = find_neighbors(MatrixRows(x), 1, {.search = search});
        EXPECT_EQ(found.indices(0, 0), 1);
        EXPECT_EQ(found.indices(1, 0), 0);
        EXPECT_EQ(found.distances(0, 0), 3);
    }
}

TEST(Neighbors, InOneDimensionAreThoseBeside) {
    Matrix x(900, 1);
    for (int i = 0; i < 900; ++i) x(i, 0) = static_cast<float>((i * 7) % 900);
    for (const auto search : {Search::exact, Search::approximate}) {
        const auto found = find_neighbors(MatrixRows(x), 2, {.search = search});
        for (int i = 0; i < 900; ++i) {
            if (x(i, 0) > 0 && x(i, 0) < 899) {
                EXPECT_EQ(found.distances(i, 1), 1) << i;
            }
        }
    }
}

TEST(Neighbors, ZeroVectorsAreAlikeUnderCosineInAnySearch) {
    Matrix x = clustered(900, 12, 25);
    for (int i = 0; i < 900; i += 9) x.row(i).setZero();
    for (const auto metric : {Metric::cosine, Metric::correlation}) {
        for (const auto search : {Search::exact, Search::approximate}) {
            const auto found = find_neighbors(MatrixRows(x), 4, {.metric = metric, .search = search});
            for (int i = 0; i < 900; i += 9) {
                EXPECT_EQ(found.distances.row(i).norm(), 0);
                for (int j = 0; j < 4; ++j) EXPECT_EQ(found.indices(i, j) % 9, 0);
            }
        }
    }
}

TEST(Neighbors, ByAngleDoNotDependOnLength) {
    const Matrix x = clustered(500, 10, 26);
    for (const float scale : {1e-30f, 1e30f}) {
        const Matrix scaled = scale * x;
        const auto plain = find_neighbors(MatrixRows(x), 5, {.metric = Metric::cosine});
        const auto found = find_neighbors(MatrixRows(scaled), 5, {.metric = Metric::cosine});
        EXPECT_LT((plain.distances - found.distances).cwiseAbs().maxCoeff(), 1e-6f);
    }
}

TEST(Neighbors, RefuseWhatFloat32CannotCompare) {
    const Matrix x = clustered(500, 10, 27), small = 1e-25f * x, large = 1e19f * x;
    EXPECT_NE(error_of([&] {
                  find_neighbors(MatrixRows(small), 5);
              }).find("at most cannot be compared: its square"),
              std::string::npos);
    EXPECT_NE(error_of([&] {
                  find_neighbors(MatrixRows(large), 5);
              }).find("cannot be compared by euclidean distance"),
              std::string::npos);
    // One such row among others is found wherever it stands.
    Matrix one = clustered(9000, 4, 28);
    one(8999, 2) = 1e20f;
    EXPECT_NE(error_of([&] { find_neighbors(MatrixRows(one), 5); }).find("rows that hold 1.0e+20"),
              std::string::npos);
}

/// Claims to have more rows than can be numbered; none is ever read.
class Endless final : public RowSource {
  public:
    std::int64_t n_rows() const override { return std::int64_t{1} << 31; }
    std::int64_t dim() const override { return 4; }
    void read(std::int64_t, std::int64_t, float*) const override { FAIL() << "read"; }
};

TEST(Neighbors, RefuseMoreRowsThanTheyCanNumber) {
    EXPECT_EQ(
        error_of([] { find_neighbors(Endless(), 5); }),
        "cannot search neighbours among 2147483648 rows: row numbers end at 2147483647; select fewer rows");
}

TEST(NeighborIndex, QueriesAreAnsweredAsRowsAreWhateverTheSearch) {
    const Matrix x = clustered(2500, 20, 29), fresh = clustered(300, 20, 30);
    const auto truth = NeighborIndex(MatrixRows(x), {.search = Search::exact}).query(MatrixRows(fresh), 6);
    for (Eigen::Index i = 0; i < fresh.rows(); ++i) {
        std::vector<float> all;
        for (Eigen::Index j = 0; j < x.rows(); ++j) all.push_back((fresh.row(i) - x.row(j)).norm());
        std::nth_element(all.begin(), all.begin() + 5, all.end());
        EXPECT_NEAR(truth.distances(i, 5), all[5], 1e-4f);
    }
    const NeighborIndex index(MatrixRows(x), {.search = Search::approximate});
    const auto found = index.query(MatrixRows(fresh), 6);
    EXPECT_GT((found.distances.array() <= truth.distances.array() + 1e-4f).cast<double>().mean(), 0.95);
    EXPECT_TRUE(same_bytes(found.indices, index.query(BlockedRows(fresh), 6).indices));
}

TEST(NeighborIndex, QueriesMayAskForAllRows) {
    const Matrix x = clustered(50, 6, 31), fresh = clustered(3, 6, 32);
    for (const auto search : {Search::exact, Search::approximate}) {
        const auto found = NeighborIndex(MatrixRows(x), {.search = search}).query(MatrixRows(fresh), 50);
        for (int i = 0; i < 3; ++i) {
            const auto row = found.indices.row(i);
            EXPECT_EQ(std::set<std::int32_t>(row.begin(), row.end()).size(), 50u);
            EXPECT_TRUE(std::is_sorted(found.distances.row(i).begin(), found.distances.row(i).end()));
        }
    }
    const NeighborIndex index(MatrixRows(x), {});
    EXPECT_EQ(error_of([&] { index.query(MatrixRows(fresh), 51); }),
              "cannot find 51 neighbours among 50 other rows; ask for 1 to 50, or select more rows");
    EXPECT_EQ(error_of([&] { index.query(MatrixRows(Matrix::Zero(3, 5)), 2); }),
              "cannot compare rows of dimension 5: the indexed rows are of dimension 6");
}

TEST(NeighborIndex, AnswersTheSameAfterItMoved) {
    const Matrix x = clustered(1500, 16, 33);
    NeighborIndex index(MatrixRows(x), {.search = Search::approximate});
    const auto before = index.neighbors(5);
    const NeighborIndex moved = std::move(index);
    EXPECT_TRUE(same_bytes(moved.neighbors(5).indices, before.indices));
    EXPECT_EQ(moved.n_rows(), 1500);
}

TEST(NeighborIndex, ListsHoldEveryRow) {
    Matrix x = clustered(3000, 16, 34);
    x.bottomRows(100) = x.topRows(100);
    const NeighborIndex index(MatrixRows(x), {});
    EXPECT_EQ(index.n_distinct(), 2900);
    const auto lists = index.list_of_rows();
    ASSERT_EQ(lists.size(), 3000u);
    EXPECT_EQ(index.list_centers().rows(), index.n_lists());
    for (std::size_t i = 0; i < 3000; ++i) EXPECT_TRUE(lists[i] >= 0 && lists[i] < index.n_lists());
    for (std::size_t i = 0; i < 100; ++i) EXPECT_EQ(lists[i], lists[2900 + i]);
}

TEST(Neighbors, StopWhenAsked) {
    StoppedProgress stop;
    for (const auto search : {Search::exact, Search::approximate})
        EXPECT_THROW(find_neighbors(MatrixRows(clustered(500, 8, 35)), 5, {.search = search}, stop), Stopped);
}

TEST(Neighbors, BadInput) {
    Matrix x = clustered(10, 4, 6);
    EXPECT_EQ(error_of([&] { find_neighbors(MatrixRows(x), 10); }),
              "cannot find 10 neighbours among 9 other rows; ask for 1 to 9, or select more rows");
    EXPECT_EQ(error_of([&] { find_neighbors(MatrixRows(x.data(), 1, 4), 1); }),
              "cannot search neighbours among 1 row; select more rows");
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
