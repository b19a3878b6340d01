// Neighbours in the full space against comparing all rows in float64, whatever may hide them from float32.
#include "tomograph/serve/nearest.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "support/errors.h"
#include "support/run_folder.h"
#include "support/temp_folder.h"
#include "tomograph/select/selection.h"

namespace tomograph {
namespace {

using namespace test;

constexpr std::int64_t kWidth = 70;  // no multiple of any vector's width
constexpr std::int64_t kTokens = 5000;

/// Two layers of 5000 tokens, some shards.
class Neighbors : public testing::TestWithParam<Normalize> {
  protected:
    SelectedRows rows(std::function<Vector(const std::string&, std::int64_t)> value_of) {
        sketch_.n_layers = 2;
        sketch_.lengths = std::vector<std::int64_t>(50, kTokens / 50);
        sketch_.sites = {{"blocks.0.attn_out", {kWidth}}, {"blocks.1.attn_out", {kWidth}}};
        sketch_.shard_tokens = 1300;
        sketch_.value_of = std::move(value_of);
        sketch_.write(folder_ / "run");
        run_.emplace(tomograph::Run::open(folder_ / "run"));
        Selection selection;
        selection.components = {Component::attn_out};
        selection.normalize = GetParam();
        return select(*run_, selection);
    }
    static Vector noise(const std::string& site, std::int64_t token) {
        Vector v(kWidth);
        for (Eigen::Index i = 0; i < kWidth; ++i)
            v[i] = static_cast<float>(
                2 * to_unit(mix(site[7], static_cast<std::uint64_t>(token), static_cast<std::uint64_t>(i))) -
                1);
        return v;
    }
    /// Rows by their distance in float64, a row's own left out.
    static std::vector<std::int64_t> by_distance(const SelectedRows& rows, std::int64_t row, std::size_t k) {
        Matrix all(rows.n_rows(), rows.dim());
        rows.read(0, rows.n_rows(), all.data());
        const VectorD distances = (all.rowwise() - all.row(row)).cast<double>().rowwise().squaredNorm();
        std::vector<std::int64_t> order(static_cast<std::size_t>(rows.n_rows()));
        std::iota(order.begin(), order.end(), 0);
        std::erase_if(order, [&](std::int64_t r) { return r == row || !std::isfinite(distances[r]); });
        std::ranges::stable_sort(order, {}, [&](std::int64_t r) { return distances[r]; });
        order.resize(std::min(order.size(), k));
        return order;
    }
    static void expect_the_same(const SelectedRows& rows, int k = 10) {
        for (const std::int64_t row : {0, 17, 2047, 2048, 9999}) {
            const Nearest nearest = nearest_rows(rows, row, k);
            std::vector<std::int64_t> found;
            for (const NearestRow& one : nearest.rows) found.push_back(one.row);
            EXPECT_EQ(found, by_distance(rows, row, static_cast<std::size_t>(k))) << row;
            EXPECT_EQ(nearest.n_searched, rows.n_rows());
        }
    }

    RunSketch sketch_;
    TempFolder folder_;
    std::optional<tomograph::Run> run_;
};
INSTANTIATE_TEST_SUITE_P(All, Neighbors,
                         testing::Values(Normalize::none, Normalize::unit, Normalize::layernorm));

TEST_P(Neighbors, OfACloudAreThoseOfComparingAll) {
    expect_the_same(rows(noise));
}

TEST_P(Neighbors, AreFoundBesideACoordinateThatDwarfsTheOthers) {
    expect_the_same(rows([](const std::string& site, std::int64_t token) {
        Vector v = noise(site, token);
        v[3] += 20000;
        return v;
    }));
}

TEST_P(Neighbors, AreFoundAmongCopiesByRow) {
    expect_the_same(rows([](const std::string& site, std::int64_t token) { return noise(site, token % 7); }));
}

TEST_P(Neighbors, AreFoundBesideZerosAndConstantRows) {
    expect_the_same(rows([](const std::string& site, std::int64_t token) -> Vector {
        if (token % 3 == 0) return Vector::Constant(kWidth, static_cast<float>(token % 2));
        return noise(site, token);
    }));
}

TEST_P(Neighbors, AreNeverRowsThatAreNotFinite) {
    const SelectedRows all = rows([](const std::string& site, std::int64_t token) {
        Vector v = noise(site, token);
        if (token == 40) v[2] = std::numeric_limits<float>::quiet_NaN();
        if (token == 41) v[2] = std::numeric_limits<float>::infinity();
        if (token == 42) v *= 1e25f;  // its square is no float32
        return v;
    });
    for (const NearestRow& one : nearest_rows(all, 17, 10000).rows) {
        EXPECT_TRUE(std::isfinite(one.distance));
        EXPECT_TRUE(one.row % kTokens != 40 && one.row % kTokens != 41);
    }
}

TEST_P(Neighbors, OfAnotherVectorMayBeAllRows) {
    const SelectedRows all = rows(noise);
    Vector query(kWidth);
    all.read(5, 6, query.data());
    EXPECT_EQ(nearest_to(all, query, 1).rows.front().row, 5);
    EXPECT_EQ(nearest_to(all, query, 1).rows.front().distance, 0);
    EXPECT_NE(error_of([&] { nearest_to(all, Vector::Zero(3), 1); }), "");
    EXPECT_NE(error_of([&] { nearest_rows(all, 10000, 1); }), "");
}

TEST_P(Neighbors, AreSoughtInEvenlySpreadRowsWhereAllAreTooMany) {
    const Nearest nearest = nearest_rows(rows(noise), 0, 3, 2 * 2048 * kWidth);
    EXPECT_LT(nearest.n_searched, 10000);
    EXPECT_GE(nearest.n_searched, 2048);
    EXPECT_EQ(nearest.rows.size(), 3u);
}

}  // namespace
}  // namespace tomograph
