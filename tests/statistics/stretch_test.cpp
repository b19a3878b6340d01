#include "tomograph/statistics/stretch.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numbers>

#include "tomograph/base/random.h"

namespace tomograph {
namespace {

const VectorD kPosition = VectorD::LinSpaced(255, 1, 255);

/// Four coordinates of a function of place, with noise.
MatrixD curve(const std::function<double(double t, int k)>& value, double noise, std::uint64_t seed) {
    Rng rng(seed);
    MatrixD points(kPosition.size(), 4);
    for (Eigen::Index i = 0; i < points.rows(); ++i) {
        for (int k = 0; k < 4; ++k) points(i, k) = value(kPosition[i], k) + noise * rng.normal();
    }
    return points;
}

double wave(double t, int k) {
    return std::cos(2 * std::numbers::pi * t * (k + 1) / 120 + k) * std::exp(-t / 200);
}

TEST(Stretch, IsFoundUnderNoise) {
    for (const double speed : {0.7, 0.85, 1.0, 1.15, 1.3}) {
        const MatrixD reference = curve(wave, 0.3, 1),
                      other = curve([&](double t, int k) { return wave(speed * t, k); }, 0.3, 2);
        const Stretch found = find_stretch(reference, other, kPosition);
        EXPECT_NEAR(found.factor, speed, 0.02 * speed);
        EXPECT_GT(found.likeness, 0.6);
        EXPECT_GT(found.contrast, 0.3);
    }
}

// A line, a power and a logarithm look the same at every speed.
TEST(Stretch, MeansNothingWhereEverySpeedLooksTheSame) {
    using Shape = double (*)(double);
    for (const Shape shape :
         {Shape([](double t) { return t; }), Shape([](double t) { return std::log(t); })}) {
        const MatrixD same = curve([&](double t, int) { return shape(t); }, 0, 1);
        EXPECT_LT(find_stretch(same, same, kPosition).contrast, 0.02);
    }
}

TEST(Stretch, OfNoiseIsNotAlike) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        const auto nothing = [](double, int) { return 0.0; };
        EXPECT_LT(find_stretch(curve(nothing, 1, mix(seed, 1)), curve(nothing, 1, mix(seed, 2)), kPosition)
                      .likeness,
                  0.3);
    }
}

TEST(Stretch, NeedsPoints) {
    const VectorD few = VectorD::LinSpaced(30, 1, 30);
    EXPECT_TRUE(std::isnan(find_stretch(MatrixD::Zero(30, 2), MatrixD::Zero(30, 2), few).factor));
}

}  // namespace
}  // namespace tomograph
