#include "tomograph/linear/panels.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "tomograph/base/matrix.h"

namespace tomograph {
namespace {

/// Every path that this processor can take.
class Panels : public testing::TestWithParam<SimdLevel> {
  protected:
    static FloatBuffer packed(const Matrix& rows) {
        auto panel = make_float_buffer(panel_floats(rows.cols()));
        pack_panel(rows.data(), rows.rows(), rows.cols(), rows.cols(), panel.get());
        return panel;
    }
};
std::string level_name(const testing::TestParamInfo<SimdLevel>& test) {
    static constexpr const char* names[] = {"Plain", "Avx2", "Avx512", "Vnni"};
    return names[static_cast<int>(test.param)];
}
INSTANTIATE_TEST_SUITE_P(Simd, Panels, testing::ValuesIn(simd_levels()), level_name);

TEST_P(Panels, TileIsTheProductInFloat64) {
    for (const std::int64_t k : {0, 1, 2, 7, 48, 96, 1000}) {
        const Matrix a = Matrix::Random(48, k), b = Matrix::Random(48, k);
        const auto tile = make_float_buffer(tile_size);
        multiply_panels(packed(a).get(), packed(b).get(), k, tile.get(), GetParam());
        const MatrixD exact = a.cast<double>() * b.cast<double>().transpose();
        const double worst = (MatrixView(tile.get(), 48, 48).cast<double>() - exact).cwiseAbs().maxCoeff();
        EXPECT_LE(worst, 1e-7 * static_cast<double>(k)) << k;
    }
}

// Fused products round once where others round twice: no more than that.
TEST_P(Panels, TileIsThePlainOneUpToFusedProducts) {
    const Matrix a = Matrix::Random(48, 577), b = Matrix::Random(48, 577);
    const auto plain = make_float_buffer(tile_size), tile = make_float_buffer(tile_size);
    multiply_panels(packed(a).get(), packed(b).get(), 577, plain.get(), SimdLevel::plain);
    multiply_panels(packed(a).get(), packed(b).get(), 577, tile.get(), GetParam());
    EXPECT_LT((MatrixView(tile.get(), 48, 48) - MatrixView(plain.get(), 48, 48)).cwiseAbs().maxCoeff(), 2e-5);
}

// Sums of whole numbers below 2^24 are exact, in any order and fused or not: then every path gives the same
// bits.
TEST_P(Panels, TileOfWholeNumbersIsExact) {
    const Matrix a = (8 * Matrix::Random(48, 300)).array().round(),
                 b = (8 * Matrix::Random(48, 300)).array().round();
    const auto plain = make_float_buffer(tile_size), tile = make_float_buffer(tile_size);
    multiply_panels(packed(a).get(), packed(b).get(), 300, plain.get(), SimdLevel::plain);
    multiply_panels(packed(a).get(), packed(b).get(), 300, tile.get(), GetParam());
    EXPECT_EQ(std::memcmp(plain.get(), tile.get(), tile_size * sizeof(float)), 0);
}

TEST_P(Panels, MissingRowsAreZero) {
    const Matrix a = Matrix::Random(48, 9), b = Matrix::Random(41, 9);
    const auto tile = make_float_buffer(tile_size);
    multiply_panels(packed(a).get(), packed(b).get(), 9, tile.get(), GetParam());
    EXPECT_LT((MatrixView(tile.get(), 48, 48).leftCols(41) - a * b.transpose()).cwiseAbs().maxCoeff(), 1e-5);
    EXPECT_EQ(MatrixView(tile.get(), 48, 48).rightCols(7).norm(), 0);
}

TEST(PackPanel, LeavesOutWhatIsBetweenRows) {
    const Matrix rows = Matrix::Random(5, 20);
    const auto panel = make_float_buffer(panel_floats(12));
    pack_panel(rows.data(), 5, 12, 20, panel.get());
    for (int i = 0; i < 48; ++i) {
        for (int t = 0; t < 12; ++t) EXPECT_EQ(panel[t * 48 + i], i < 5 ? rows(i, t) : 0.0f);
    }
}

TEST(SimdLevels, BeginWithThePlainOneAndEndWithTheBest) {
    EXPECT_EQ(simd_levels().front(), SimdLevel::plain);
    EXPECT_EQ(simd_levels().back(), simd_level());
}

}  // namespace
}  // namespace tomograph
