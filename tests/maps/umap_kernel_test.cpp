// The vectorised loops of the layout, every path that this processor has against the plain one and against
// the formulas.
#include "tomograph/maps/umap_kernel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "tomograph/base/matrix.h"
#include "tomograph/base/random.h"

namespace tomograph {
namespace {

class UmapKernel : public testing::TestWithParam<SimdLevel> {};
std::string level_name(const testing::TestParamInfo<SimdLevel>& test) {
    static constexpr const char* names[] = {"Plain", "Avx2", "Avx512", "Vnni"};
    return names[static_cast<int>(test.param)];
}
INSTANTIATE_TEST_SUITE_P(Simd, UmapKernel, testing::ValuesIn(simd_levels()), level_name);

TEST_P(UmapKernel, DrawsTheEdgesThatThePlainPathDraws) {
    Rng rng(1);
    for (const std::int64_t n : {0, 1, 15, 16, 17, 100}) {
        std::vector<std::int32_t> targets(n), plain(n + 16), drawn(n + 16);
        std::vector<std::uint32_t> rates(n);
        for (auto& target : targets) target = static_cast<std::int32_t>(rng.below(1000));
        for (auto& rate : rates) rate = static_cast<std::uint32_t>(rng());
        for (std::uint32_t turn = 1; turn < 50; ++turn) {
            const auto expected =
                draw_edges(7, targets.data(), rates.data(), n, turn, plain.data(), SimdLevel::plain);
            const auto count = draw_edges(7, targets.data(), rates.data(), n, turn, drawn.data(), GetParam());
            ASSERT_EQ(count, expected);
            EXPECT_TRUE(std::equal(drawn.begin(), drawn.begin() + count, plain.begin()));
        }
    }
}

TEST_P(UmapKernel, DrawsAnEdgeAsOftenAsItsRateSays) {
    constexpr std::uint32_t turns = 4000;
    const std::int32_t targets[] = {5, 900, 33};
    const std::uint32_t rates[] = {0xffffffffu, 0x40000000u, 0x01000000u};
    int counts[3] = {};
    std::int32_t drawn[19];
    for (std::uint32_t turn = 1; turn <= turns; ++turn) {
        const auto n = draw_edges(2, targets, rates, 3, turn, drawn, GetParam());
        for (int i = 0; i < n; ++i) counts[std::find(targets, targets + 3, drawn[i]) - targets] += 1;
    }
    EXPECT_NEAR(counts[0], turns, 1);
    EXPECT_NEAR(counts[1], turns / 4, 1);
    EXPECT_NEAR(counts[2], turns / 256, 1);
}

TEST_P(UmapKernel, BothEndsDrawAnEdgeTogether) {
    const std::uint32_t rate = 0x23456789u;
    std::int32_t drawn[17];
    for (std::uint32_t turn = 1; turn < 200; ++turn) {
        const std::int32_t a = 12, b = 345;
        EXPECT_EQ(draw_edges(a, &b, &rate, 1, turn, drawn, GetParam()),
                  draw_edges(b, &a, &rate, 1, turn, drawn, GetParam()));
    }
}

/// 32 vertices with up to 5 drawn edges each, among 200 others.
struct Scene {
    explicit Scene(int n_dims) : dims(n_dims), others(10 * Matrix::Random(200, n_dims)) {
        Rng rng(3);
        for (auto& target : targets) target = static_cast<std::int32_t>(rng.below(200));
        for (int lane = 0; lane < umap_lanes; ++lane) {
            counts[lane] = lane % 6;
            random[lane] = static_cast<std::uint32_t>(rng());
            for (int d = 0; d < dims; ++d) position[d * umap_lanes + lane] = others(lane, d);
        }
    }
    UmapStep step(int n_negative) const {
        UmapStep step{};
        step.dims = dims;
        step.others = step.pushers = others.data();
        step.n_pushers = 200;
        step.a = 1.577f, step.b = 0.895f, step.repulsion = 1, step.alpha = 0.25f;
        step.n_negative = n_negative;
        return step;
    }
    void advance(int n_negative, SimdLevel level) {
        advance_vertices(step(n_negative), targets, stride, counts, random, position, level);
    }
    static constexpr std::int32_t stride = 8;
    int dims;
    Matrix others;
    std::int32_t targets[umap_lanes * stride];
    alignas(64) std::int32_t counts[umap_lanes];
    alignas(64) std::uint32_t random[umap_lanes];
    alignas(64) float position[3 * umap_lanes] = {};
};

TEST_P(UmapKernel, PullsAlongTheGradient) {
    for (const int dims : {2, 3}) {
        Scene scene(dims);
        const Scene before = scene;
        scene.advance(0, GetParam());
        for (int lane = 0; lane < umap_lanes; ++lane) {
            VectorD expected(dims), at(dims);
            for (int d = 0; d < dims; ++d) expected[d] = at[d] = before.position[d * umap_lanes + lane];
            for (int e = 0; e < before.counts[lane]; ++e) {
                const VectorD to =
                    before.others.row(before.targets[lane * Scene::stride + e]).transpose().cast<double>();
                const double squared = (at - to).squaredNorm() + 1e-12;
                const double power = std::pow(squared, 0.895);
                const VectorD pull = -2 * 1.577 * 0.895 * power / (squared * (1.577 * power + 1)) * (at - to);
                expected += 0.25 * 2 * pull.cwiseMax(-4).cwiseMin(4);  // once for each end
            }
            for (int d = 0; d < dims; ++d)
                EXPECT_NEAR(scene.position[d * umap_lanes + lane], expected[d], 1e-4) << lane;
        }
    }
}

TEST_P(UmapKernel, DrawsThePushersThatThePlainPathDraws) {
    for (const int dims : {2, 3}) {
        Scene scene(dims), plain = scene;
        plain.advance(5, SimdLevel::plain);
        scene.advance(5, GetParam());
        EXPECT_TRUE(std::equal(plain.random, plain.random + umap_lanes, scene.random));
        for (int i = 0; i < dims * umap_lanes; ++i)
            EXPECT_NEAR(scene.position[i], plain.position[i], 1e-3) << i;
    }
}

TEST_P(UmapKernel, LeavesAVertexWithoutEdgesAndOneUponItsTargetFinite) {
    Scene scene(2);
    for (int lane = 0; lane < umap_lanes; ++lane) scene.targets[lane * Scene::stride] = lane;  // itself
    scene.counts[0] = 0;
    const float x = scene.position[0];
    scene.advance(5, GetParam());
    EXPECT_EQ(scene.position[0], x);
    for (int i = 0; i < 2 * umap_lanes; ++i) EXPECT_TRUE(std::isfinite(scene.position[i]));
}

}  // namespace
}  // namespace tomograph
