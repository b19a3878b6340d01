#include "tomograph/linear/attention.h"

#include <gtest/gtest.h>

#include <Eigen/Core>
#include <cmath>
#include <random>
#include <string>
#include <vector>

namespace tomograph {
namespace {

using Half = Eigen::half;

enum class Sees { before, own_sequence, window, some, nothing_at_first };

struct Shape {
    std::int64_t n_queries, n_keys, n_heads, n_key_heads, width, value_width;
    Sees sees;
    bool half;
};

std::ostream& operator<<(std::ostream& out, const Shape& s) {
    return out << s.n_queries << "x" << s.n_keys << "x" << s.n_heads << "_" << static_cast<int>(s.sees);
}

/// Does query i see key j? The queries are the last of the keys.
bool sees(const Shape& s, std::int64_t i, std::int64_t j) {
    const std::int64_t at = i + s.n_keys - s.n_queries;
    switch (s.sees) {
        case Sees::before: return j <= at;
        case Sees::own_sequence: return j <= at && j / 37 == at / 37;
        case Sees::window: return j <= at && j > at - 20;
        case Sees::some: return (i * 31 + j * 17) % 5 != 0;
        case Sees::nothing_at_first: return i >= 70 && j <= at;
    }
    return false;
}

class Attend : public testing::TestWithParam<Shape> {
  protected:
    Attend() {
        const Shape& s = GetParam();
        std::mt19937_64 random(5);
        std::normal_distribution<float> normal;
        const auto draw = [&](std::int64_t n) {
            std::vector<float> numbers(static_cast<std::size_t>(n));
            for (float& number : numbers) number = 2 * normal(random);
            return numbers;
        };
        queries = draw(s.n_queries * s.n_heads * s.width);
        keys = draw(s.n_keys * s.n_key_heads * s.width);
        values = draw(s.n_keys * s.n_key_heads * s.value_width);
        for (const float number : keys) half_keys.push_back(Half(number));
        for (const float number : values) half_values.push_back(Half(number));
        if (s.half) {
            std::copy(half_keys.begin(), half_keys.end(), keys.begin());
            std::copy(half_values.begin(), half_values.end(), values.begin());
        }
        for (std::int64_t i = 0; i < s.n_queries; ++i) {
            for (std::int64_t j = 0; j < s.n_keys; ++j) {
                // Where a key is seen, what is added may be any number.
                const float bias = (i + j) % 3 == 0 ? -0.5f : 0.0f;
                mask.push_back(Half(sees(s, i, j) ? bias : -INFINITY).x);
            }
        }
    }

    std::vector<float> run(int threads) const {
        const Shape& s = GetParam();
        std::vector<float> out(static_cast<std::size_t>(s.n_queries * s.n_heads * s.value_width), NAN);
        attend({.queries = queries.data(),
                .query_step = s.n_heads * s.width,
                .query_head_step = s.width,
                .keys = s.half ? static_cast<const void*>(half_keys.data()) : keys.data(),
                .key_step = s.n_key_heads * s.width,
                .key_head_step = s.width,
                .values = s.half ? static_cast<const void*>(half_values.data()) : values.data(),
                .value_step = s.n_key_heads * s.value_width,
                .value_head_step = s.value_width,
                .mask = mask.data(),
                .mask_step = s.n_keys,
                .out = out.data(),
                .n_queries = s.n_queries,
                .n_keys = s.n_keys,
                .n_heads = s.n_heads,
                .n_key_heads = s.n_key_heads,
                .width = s.width,
                .value_width = s.value_width,
                .scale = 0.3f,
                .half = s.half},
               threads);
        return out;
    }

    std::vector<float> queries, keys, values;
    std::vector<Half> half_keys, half_values;
    std::vector<std::uint16_t> mask;
};

TEST_P(Attend, IsThatOfFloat64) {
    const Shape& s = GetParam();
    const std::vector<float> out = run(2);
    const std::int64_t group = s.n_heads / s.n_key_heads;
    for (std::int64_t i = 0; i < s.n_queries; ++i) {
        for (std::int64_t h = 0; h < s.n_heads; ++h) {
            std::vector<double> weights;
            double sum = 0, most = -INFINITY;
            for (std::int64_t j = 0; j < s.n_keys; ++j) {
                double score = 0;
                for (std::int64_t d = 0; d < s.width; ++d)
                    score += static_cast<double>(queries[static_cast<std::size_t>((i * s.n_heads + h) * s.width + d)]) *
                             static_cast<double>(keys[static_cast<std::size_t>(
                                 (j * s.n_key_heads + h / group) * s.width + d)]);
                const auto bias = Eigen::numext::bit_cast<Half>(mask[static_cast<std::size_t>(i * s.n_keys + j)]);
                weights.push_back(0.3 * score + static_cast<double>(static_cast<float>(bias)));
                most = std::max(most, weights.back());
            }
            for (double& weight : weights) sum += weight = std::isinf(most) ? 0 : std::exp(weight - most);
            for (std::int64_t d = 0; d < s.value_width; ++d) {
                double want = 0;
                for (std::int64_t j = 0; j < s.n_keys; ++j)
                    want += weights[static_cast<std::size_t>(j)] *
                            static_cast<double>(values[static_cast<std::size_t>(
                                (j * s.n_key_heads + h / group) * s.value_width + d)]);
                want = sum > 0 ? want / sum : 0;
                ASSERT_NEAR(out[static_cast<std::size_t>((i * s.n_heads + h) * s.value_width + d)], want, 2e-5)
                    << "query " << i << ", head " << h << ", number " << d;
            }
        }
    }
}

TEST_P(Attend, HasTheSameBytesAtAnyNumberOfThreads) {
    const std::vector<float> one = run(1);
    for (const int threads : {2, 3, 7, 100}) EXPECT_EQ(run(threads), one) << threads << " threads";
}

INSTANTIATE_TEST_SUITE_P(Linear, Attend,
                         testing::Values(Shape{150, 150, 6, 2, 16, 16, Sees::before, true},
                                         Shape{64, 300, 4, 4, 32, 24, Sees::before, false},
                                         Shape{130, 130, 3, 1, 8, 8, Sees::own_sequence, true},
                                         Shape{200, 200, 2, 2, 16, 16, Sees::window, true},
                                         Shape{33, 90, 2, 1, 16, 16, Sees::some, false},
                                         Shape{140, 140, 2, 1, 16, 8, Sees::nothing_at_first, true}));

}  // namespace
}  // namespace tomograph
