#include "tomograph/linear/weights_product.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace tomograph {
namespace {

std::vector<float> draw(std::int64_t n, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::normal_distribution<float> normal;
    std::vector<float> values(static_cast<std::size_t>(n));
    for (float& value : values) value = normal(random);
    return values;
}

struct Shape {
    std::int64_t n, m, k;
};

class WeightsProduct : public testing::TestWithParam<Shape> {};

TEST_P(WeightsProduct, IsThatOfFloat64) {
    const auto [n, m, k] = GetParam();
    const auto rows = draw(n * k, 1), weights = draw(m * k, 2);
    std::vector<float> out(static_cast<std::size_t>(n * m), NAN);
    multiply_by_weights(rows.data(), weights.data(), out.data(), n, m, k, 3);
    for (std::int64_t i = 0; i < n; ++i) {
        for (std::int64_t j = 0; j < m; ++j) {
            double sum = 0, size = 0;
            for (std::int64_t l = 0; l < k; ++l) {
                const double term = static_cast<double>(rows[static_cast<std::size_t>(i * k + l)]) *
                                    static_cast<double>(weights[static_cast<std::size_t>(j * k + l)]);
                sum += term;
                size += std::abs(term);
            }
            ASSERT_NEAR(out[static_cast<std::size_t>(i * m + j)], sum, 1e-6 * size) << i << ", " << j;
        }
    }
}

TEST_P(WeightsProduct, HasTheSameBytesAtAnyNumberOfThreads) {
    const auto [n, m, k] = GetParam();
    const auto rows = draw(n * k, 3), weights = draw(m * k, 4);
    std::vector<float> one(static_cast<std::size_t>(n * m)), many(one.size());
    multiply_by_weights(rows.data(), weights.data(), one.data(), n, m, k, 1);
    for (const int threads : {2, 3, 5, 16, 300}) {
        many.assign(many.size(), NAN);
        multiply_by_weights(rows.data(), weights.data(), many.data(), n, m, k, threads);
        EXPECT_EQ(one, many) << threads << " threads";
    }
}

INSTANTIATE_TEST_SUITE_P(Linear, WeightsProduct,
                         testing::Values(Shape{1, 1, 1}, Shape{32, 32, 32}, Shape{33, 97, 65},
                                         Shape{200, 192, 576}, Shape{47, 1000, 40}, Shape{512, 50, 130}),
                         [](const auto& shape) {
                             return std::to_string(shape.param.n) + "x" + std::to_string(shape.param.m) + "x" +
                                    std::to_string(shape.param.k);
                         });

}  // namespace
}  // namespace tomograph
