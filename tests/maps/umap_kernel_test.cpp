// The vectorised loops of the layout, every path that this processor has against the plain one and against
// the formulas.
#include "tomograph/maps/umap_kernel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
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

/// Powers are taken to 2e-4, and a vertex is moved by some units.
constexpr double kNear = 2e-3;

/// 32 vertices with up to 9 edges each, all drawn, among 200 others of which the first `n_pushers` push.
struct Scene {
    /// Coordinates go from -spread to spread. Where they lie far apart, the powers hardly matter.
    explicit Scene(int n_dims, int n_pushers = 200, float spread = 10)
        : dims(n_dims),
          others(spread * Matrix::Random(200, n_dims)),
          pushers(n_dims, n_pushers + umap_run - 1),
          places(others.topRows(n)) {
        Rng rng(3);
        for (Eigen::Index i = 0; i < pushers.cols(); ++i) pushers.col(i) = others.row(i % n_pushers);
        for (int vertex = 0; vertex < n; ++vertex) {
            // The counter of vertex 0's edge to 0 alone would not overflow in the first epoch.
            for (int e = 0; e < vertex % 10; ++e)
                targets.push_back(static_cast<std::int32_t>(1 + rng.below(199)));
            offsets.push_back(static_cast<std::int64_t>(targets.size()));
        }
        rates.assign(targets.size(), 0xffffffffu);
        step.dims = dims;
        step.turn = 1;
        step.n_pushers = n_pushers;
        step.a = 1.577f, step.b = 0.895f, step.repulsion = 1, step.alpha = 0.25f;
    }
    void advance(int n_negative, SimdLevel level, std::int64_t begin = 0, std::int64_t end = n,
                 std::uint64_t key = 7) {
        step.offsets = offsets.data(), step.targets = targets.data(), step.rates = rates.data();
        step.others = others.data();
        for (int d = 0; d < dims; ++d) step.pushers[d] = pushers.row(d).data();
        step.n_negative = n_negative;
        std::int32_t drawn[9 + 16];
        advance_vertices(step, begin, end, key, drawn, places.data(), level);
    }
    /// 2 a b d^(2b) / (d^2 (1 + a d^(2b))) of the pull along an edge, less the sign; of the push, 2 b /
    /// ((0.001 + d^2) (1 + a d^(2b))). Each coordinate of a force is at most 4.
    VectorD pull(int vertex, int other) const {
        const VectorD apart = difference(vertex, other);
        const double squared = apart.squaredNorm() + 1e-12, power = std::pow(squared, 0.895);
        return (-2 * 1.577 * 0.895 * power / (squared * (1.577 * power + 1)) * apart)
            .cwiseMax(-4)
            .cwiseMin(4);
    }
    VectorD push(int vertex, int other) const {
        const VectorD apart = difference(vertex, other);
        const double squared = apart.squaredNorm() + 1e-12, power = std::pow(squared, 0.895);
        return (2 * 0.895 / ((0.001 + squared) * (1.577 * power + 1)) * apart).cwiseMax(-4).cwiseMin(4);
    }
    VectorD difference(int vertex, int other) const {
        return (places.row(vertex) - others.row(other)).transpose().cast<double>();
    }
    static constexpr int n = 32;
    int dims;
    Matrix others, pushers, places;
    std::vector<std::int64_t> offsets{0};
    std::vector<std::int32_t> targets;
    std::vector<std::uint32_t> rates;
    UmapStep step{};
};

/// Dimensions, and how far the vertices spread.
constexpr std::pair<int, float> kScenes[] = {{2, 10.0f}, {3, 10.0f}, {2, 1.0f},
                                             {3, 1.0f},  {2, 0.2f},  {3, 0.2f}};

TEST_P(UmapKernel, PullsAlongTheGradient) {
    for (const auto& [dims, spread] : kScenes) {
        Scene scene(dims, 200, spread);
        const Scene before = scene;
        scene.advance(0, GetParam());
        for (int vertex = 0; vertex < Scene::n; ++vertex) {
            VectorD expected = before.places.row(vertex).transpose().cast<double>();
            for (auto e = before.offsets[vertex]; e < before.offsets[vertex + 1]; ++e)
                expected += 0.25 * 2 * before.pull(vertex, before.targets[e]);  // once for each end
            for (int d = 0; d < dims; ++d)
                EXPECT_NEAR(scene.places(vertex, d), expected[d], kNear) << vertex << " of " << spread;
        }
    }
}

TEST_P(UmapKernel, PushesAsOftenAsEachDrawnEdgeAsks) {
    for (const auto& [dims, spread] : kScenes) {
        Scene scene(dims, 1, spread);
        const Scene before = scene;
        scene.advance(5, GetParam());
        for (int vertex = 0; vertex < Scene::n; ++vertex) {
            VectorD expected = before.places.row(vertex).transpose().cast<double>();
            for (auto e = before.offsets[vertex]; e < before.offsets[vertex + 1]; ++e)
                expected += 0.25 * (2 * before.pull(vertex, before.targets[e]) + 5 * before.push(vertex, 0));
            for (int d = 0; d < dims; ++d)
                EXPECT_NEAR(scene.places(vertex, d), expected[d], kNear) << vertex << " of " << spread;
        }
    }
}

TEST_P(UmapKernel, DrawsThePushersThatThePlainPathDraws) {
    for (const int dims : {2, 3}) {
        Scene scene(dims), plain = scene;
        plain.advance(5, SimdLevel::plain);
        scene.advance(5, GetParam());
        EXPECT_LE((scene.places - plain.places).cwiseAbs().maxCoeff(), 1e-3f);  // the same powers
        EXPECT_GT((scene.places - scene.others.topRows(Scene::n)).cwiseAbs().maxCoeff(), 0.1f);
    }
}

TEST_P(UmapKernel, DrawsEveryPusherAlike) {
    Scene scene(2);
    scene.targets.assign(1, 5);
    scene.rates.assign(1, 0xffffffffu);
    std::fill(scene.offsets.begin() + 1, scene.offsets.end(), 1);
    // Pushers far from all but each other, one of them near: how often is it drawn?
    const Matrix far = Matrix::Constant(2, scene.pushers.cols(), 1e6f);
    for (const int near : {0, 15, 16, 199}) {
        scene.pushers = far;
        for (Eigen::Index i = near; i < scene.pushers.cols(); i += 200)
            scene.pushers.col(i) = scene.others.row(0).transpose().array() + 0.5f;
        const auto moved_to = [&](int n_negative, int epoch) {
            scene.places = scene.others.topRows(Scene::n);
            scene.advance(n_negative, GetParam(), 0, 1, static_cast<std::uint64_t>(epoch));
            return scene.places(0, 0);
        };
        const float pulled = moved_to(0, 0);
        int pushed = 0;
        constexpr int epochs = 20000;
        for (int epoch = 0; epoch < epochs; ++epoch) pushed += std::abs(moved_to(5, epoch) - pulled) > 1e-3f;
        EXPECT_NEAR(pushed, epochs * 5 / 200, 5 * std::sqrt(epochs * 5 / 200)) << near;
    }
}

TEST_P(UmapKernel, MovesOnlyTheVerticesAskedFor) {
    Scene scene(2), part = scene;
    scene.advance(5, GetParam());
    part.advance(5, GetParam(), 5, 20);
    EXPECT_EQ(part.places.middleRows(5, 15), scene.places.middleRows(5, 15));
    EXPECT_EQ(part.places.topRows(5), part.others.topRows(5));
    EXPECT_EQ(part.places.bottomRows(12), part.others.middleRows(20, 12));
}

TEST_P(UmapKernel, LeavesAVertexWithoutEdgesAndOneUponItsTargetFinite) {
    Scene scene(2);
    for (int vertex = 1; vertex < Scene::n; ++vertex)
        for (auto e = scene.offsets[vertex]; e < scene.offsets[vertex + 1]; ++e)
            scene.targets[e] = vertex;  // itself
    scene.advance(5, GetParam());
    EXPECT_EQ(scene.places.row(0), scene.others.row(0));
    EXPECT_TRUE(scene.places.allFinite());
}

TEST_P(UmapKernel, DoesNotHideWhatIsNotANumber) {
    Scene scene(2);
    scene.others.setConstant(std::numeric_limits<float>::quiet_NaN());
    scene.advance(0, GetParam());
    EXPECT_TRUE(scene.places.row(0).allFinite());
    EXPECT_TRUE(scene.places.row(1).array().isNaN().all());
}

}  // namespace
}  // namespace tomograph
