// The vectorised loops of the search, every path that this processor has against plain sums.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "support/reduce_golden.h"
#include "tomograph/neighbors/byte_vectors.h"
#include "tomograph/neighbors/distances.h"
#include "tomograph/neighbors/row_products.h"

namespace tomograph {
namespace {

using namespace test;

class Kernels : public ::testing::TestWithParam<SimdLevel> {};
std::string level_name(const ::testing::TestParamInfo<SimdLevel>& test) {
    static constexpr const char* names[] = {"Plain", "Avx2", "Avx512", "Vnni"};
    return names[static_cast<int>(test.param)];
}
INSTANTIATE_TEST_SUITE_P(Simd, Kernels, ::testing::ValuesIn(simd_levels()), level_name);

TEST_P(Kernels, DistancesAreThoseInFloat64) {
    for (const std::int64_t width : {16, 32, 48, 64, 1008}) {
        const Matrix rows = Matrix::Random(9, width);
        const std::int32_t ids[] = {8, 0, 3, 3, 5, 2};
        float squared[6];
        squared_distances(rows.row(2).data(), rows.data(), width, ids, 6, squared, GetParam());
        for (int i = 0; i < 6; ++i) {
            const double exact = (rows.row(2) - rows.row(ids[i])).cast<double>().squaredNorm();
            EXPECT_NEAR(squared[i], exact, 2e-6 * exact) << width;
        }
        EXPECT_EQ(squared[5], 0);
    }
}

TEST_P(Kernels, DistancesOfWholeNumbersAreExact) {
    const Matrix rows = (9 * Matrix::Random(7, 176)).array().round();
    const std::int32_t ids[] = {0, 1, 2, 3, 4, 5, 6};
    float plain[7], squared[7];
    squared_distances(rows.row(4).data(), rows.data(), 176, ids, 7, plain, SimdLevel::plain);
    squared_distances(rows.row(4).data(), rows.data(), 176, ids, 7, squared, GetParam());
    EXPECT_EQ(std::memcmp(plain, squared, sizeof plain), 0);
}

TEST_P(Kernels, DistancesAreTheSameFromBothEnds) {
    const Matrix rows = Matrix::Random(2, 592);
    const std::int32_t ids[] = {0, 1};
    float there[2], back[2];
    squared_distances(rows.row(0).data(), rows.data(), 592, ids, 2, there, GetParam());
    squared_distances(rows.row(1).data(), rows.data(), 592, ids, 2, back, GetParam());
    EXPECT_EQ(there[1], back[0]);
}

TEST_P(Kernels, AboveIsThePlainComparison) {
    Vector scores = Vector::Random(48), minus = Vector::Random(48);
    minus[7] = std::numeric_limits<float>::infinity();
    scores[8] = std::numeric_limits<float>::quiet_NaN();
    scores[9] = minus[9] + 0.25f;
    for (const float threshold : {0.25f, -2.0f, 2.0f, -std::numeric_limits<float>::infinity()}) {
        const auto bits = above(scores.data(), minus.data(), threshold, GetParam());
        for (int j = 0; j < 48; ++j) EXPECT_EQ(bits >> j & 1, scores[j] - minus[j] > threshold) << j;
        EXPECT_EQ(bits >> 48, 0u);
    }
}

TEST_P(Kernels, ProductsAreThoseInFloat64) {
    for (const std::int64_t width : {1, 7, 16, 33, 64, 575, 576}) {
        const Matrix rows = Matrix::Random(5, width);
        const Vector query = Vector::Random(width);
        std::array<RowProducts, 5> products;
        row_products(query.data(), rows.data(), width, 5, products.data(), GetParam());
        for (Eigen::Index i = 0; i < 5; ++i) {
            const VectorD row = rows.row(i).cast<double>();
            const double near = 1e-5 * std::sqrt(static_cast<double>(width));
            const RowProducts& one = products[static_cast<std::size_t>(i)];
            EXPECT_NEAR(one.dot, row.dot(query.cast<double>()), near) << width;
            EXPECT_NEAR(one.squares, row.squaredNorm(), near) << width;
            EXPECT_NEAR(one.sum, row.sum(), near) << width;
        }
    }
}

struct Bytes {
    Bytes(std::int64_t n, std::int64_t dim) : rows(Matrix::Random(n, dim)), bytes(n, dim) {
        if (dim > 3) rows.col(3).array() += 40;  // a massive coordinate
        const Vector center = rows.colwise().mean();
        for (std::int64_t i = 0; i < n; ++i) bytes.set(i, rows.row(i).data(), center);
    }
    float expected(std::int64_t a, std::int64_t b) const {
        return -0.5f * (rows.row(a) - rows.row(b)).squaredNorm();
    }
    /// How far rounding to seven bits may put a score off.
    float tolerance() const { return 0.04f + 0.006f * static_cast<float>(rows.cols()); }
    Matrix rows;
    ByteVectors bytes;
};

TEST_P(Kernels, BytesScoreLikeTheVectorsTheyRound) {
    for (const std::int64_t dim : {1, 5, 64, 100, 576}) {
        const Bytes b(21, dim);
        for (const auto& [first_query, n_queries, first, n] :
             {std::array<std::int64_t, 4>{2, 7, 5, 15}, {0, 1, 20, 1}, {0, 21, 0, 21}, {17, 4, 3, 2}}) {
            std::vector<float> tile(n_queries * 32);
            b.bytes.score_tile(b.bytes, first_query, n_queries, first, n, 32, tile.data(), GetParam());
            for (std::int64_t i = 0; i < n_queries; ++i) {
                for (std::int64_t j = 0; j < n; ++j)
                    EXPECT_NEAR(tile[i * 32 + j], b.expected(first_query + i, first + j), b.tolerance());
            }
        }
    }
}

TEST_P(Kernels, ScatteredBytesScoreAsInTiles) {
    const Bytes b(41, 130);
    std::vector<float> tile(41 * 48);
    b.bytes.score_tile(b.bytes, 0, 41, 0, 41, 48, tile.data(), GetParam());
    for (const std::int64_t n : {1, 15, 16, 17, 33, 41}) {
        std::vector<std::int32_t> ids(n);
        for (std::int64_t i = 0; i < n; ++i) ids[i] = static_cast<std::int32_t>((7 * i + 3) % 41);
        std::vector<float> scores(n);
        b.bytes.score_ids(b.bytes, 4, ids.data(), n, scores.data(), GetParam());
        for (std::int64_t j = 0; j < n; ++j) EXPECT_NEAR(scores[j], tile[4 * 48 + ids[j]], 2e-6 * 60);
    }
}

// Sums of bytes are whole numbers; what is made of them may be fused on one path and not on another.
TEST_P(Kernels, BytesScoreAsOnThePlainPath) {
    const Bytes b(33, 576);
    std::vector<float> plain(33 * 48), tile(33 * 48);
    b.bytes.score_tile(b.bytes, 0, 33, 0, 33, 48, plain.data(), SimdLevel::plain);
    b.bytes.score_tile(b.bytes, 0, 33, 0, 33, 48, tile.data(), GetParam());
    for (int i = 0; i < 33; ++i) {
        for (int j = 0; j < 33; ++j)
            EXPECT_NEAR(tile[i * 48 + j], plain[i * 48 + j], 4e-7f * 2 * b.rows.row(i).squaredNorm());
    }
}

TEST(ByteVectors, OfZeroVectorsScoreZero) {
    const Vector zero = Vector::Zero(70);
    ByteVectors bytes(2, 70);
    for (int i = 0; i < 2; ++i) bytes.set(i, zero.data(), zero);
    float tile[32];
    bytes.score_tile(bytes, 0, 2, 0, 2, 16, tile);
    EXPECT_EQ(tile[0], 0);
    EXPECT_EQ(tile[17], 0);
}

}  // namespace
}  // namespace tomograph
