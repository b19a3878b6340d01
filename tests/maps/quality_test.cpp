// How many neighbours are of a row's own group: on the map, in space, and by chance.
#include "tomograph/maps/quality.h"

#include <gtest/gtest.h>

#include "support/errors.h"
#include "tomograph/base/random.h"

namespace tomograph {
namespace {

Matrix noise(Eigen::Index rows, Eigen::Index dims, std::uint64_t seed) {
    Rng rng(seed);
    Matrix values(rows, dims);
    for (Eigen::Index i = 0; i < values.size(); ++i) values.data()[i] = static_cast<float>(rng.normal());
    return values;
}

/// Three groups in turn.
std::vector<std::int32_t> thirds(Eigen::Index rows) {
    std::vector<std::int32_t> groups;
    for (Eigen::Index i = 0; i < rows; ++i) groups.push_back(static_cast<std::int32_t>(i % 3));
    return groups;
}

TEST(MapQuality, IslandsThatTheMapMakesAreNotInSpace) {
    const Matrix space = noise(600, 8, 1);
    Matrix map = noise(600, 2, 2);
    const auto groups = thirds(600);
    for (Eigen::Index i = 0; i < map.rows(); ++i) map(i, 0) += 100.0f * static_cast<float>(i % 3);
    const MapQuality quality = measure_quality(MatrixRows(space), map, {.threads = 2, .groups = groups});
    EXPECT_DOUBLE_EQ(quality.own_group_on_map, 1);
    EXPECT_NEAR(quality.own_group_in_space, 1.0 / 3, 0.02);
    EXPECT_NEAR(quality.own_group_by_chance, 199.0 / 599, 1e-12);
}

TEST(MapQuality, IslandsInSpaceThatTheMapLoses) {
    Matrix space = noise(600, 8, 3);
    for (Eigen::Index i = 0; i < space.rows(); ++i) space(i, 4) += 100.0f * static_cast<float>(i % 3);
    const auto groups = thirds(600);
    const MapQuality quality =
        measure_quality(MatrixRows(space), noise(600, 2, 4), {.threads = 1, .groups = groups});
    EXPECT_DOUBLE_EQ(quality.own_group_in_space, 1);
    EXPECT_NEAR(quality.own_group_on_map, 1.0 / 3, 0.02);
}

TEST(MapQuality, WithoutGroupsSaysNothingOfThem) {
    const Matrix space = noise(50, 4, 5);
    EXPECT_TRUE(std::isnan(measure_quality(MatrixRows(space), space).own_group_on_map));
    const std::vector<std::int32_t> few(49, 0);
    EXPECT_EQ(test::error_of([&] { measure_quality(MatrixRows(space), space, {.groups = few}); }),
              "50 rows have no 49 groups");
}

}  // namespace
}  // namespace tomograph
