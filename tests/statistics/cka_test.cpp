// Alignment of two curves against the same curves shifted.
#include "tomograph/statistics/cka.h"

#include <gtest/gtest.h>

#include "support/planted.h"

namespace tomograph {
namespace {

TEST(ShiftedCka, FindsACurveInAnotherBasisUnderNoise) {
    Rng rng(3);
    const MatrixD curve = planted::smooth_paths(128, 8, 2, rng);
    const MatrixD other = 2 * curve * planted::rotation(8, rng) + planted::gaussian(128, 8, rng);
    const ShiftedCka found = shifted_cka(curve.cast<float>(), other.cast<float>());
    EXPECT_GT(found.value, 0.75);
    EXPECT_LT(found.shifted, found.value);
    EXPECT_LE(found.p, 0.05);
    EXPECT_GE(found.p, 1.0 / 98) << "97 shifts of 128 places";
}

TEST(ShiftedCka, SmoothCurvesThatKnowNothingOfEachOtherAreNoLikerThanTheirShifts) {
    int alarms = 0;
    double values = 0;
    constexpr int kDraws = 120;
    for (std::uint64_t seed = 0; seed < kDraws; ++seed) {
        Rng rng(mix(seed, 9));
        const Matrix x = planted::smooth_paths(64, 6, 4, rng).cast<float>(),
                     y = planted::smooth_paths(64, 6, 4, rng).cast<float>();
        const ShiftedCka found = shifted_cka(x, y);
        alarms += found.p <= 0.025;
        values += found.value / kDraws;
    }
    EXPECT_LE(alarms, 9) << "3 are expected of 120";
    EXPECT_GT(values, 0.2) << "which is why the value alone says nothing";
}

TEST(ShiftedCka, FewPlacesGiveNoChance) {
    Rng rng(4);
    const Matrix x = planted::gaussian(12, 4, rng).cast<float>();
    EXPECT_EQ(shifted_cka(x, x).p, 1);
}

}  // namespace
}  // namespace tomograph
