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
    bool biased = true;  // are numbers added to scores?
};

std::ostream& operator<<(std::ostream& out, const Shape& s) {
    return out << s.n_queries << "x" << s.n_keys << "x" << s.n_heads << "_" << s.width << "_"
               << static_cast<int>(s.sees);
}

/// Does query i see key j? The queries are the last of the keys.
bool sees(const Shape& s, std::int64_t i, std::int64_t j) {
    const std::int64_t at = i + s.n_keys - s.n_queries;
    switch (s.sees) {
        case Sees::before:
            return j <= at;
        case Sees::own_sequence:
            return j <= at && j / 37 == at / 37;
        case Sees::window:
            return j <= at && j > at - 20;
        case Sees::some:
            return (i * 31 + j * 17) % 5 != 0;
        case Sees::nothing_at_first:
            return i >= 70 && j <= at;
    }
    return false;
}

template <class Numbers>
auto at(const Numbers& numbers, std::int64_t i) {
    return numbers[static_cast<std::size_t>(i)];
}

/// Made-up queries, keys and values, and what attention gives.
struct Sketch {
    explicit Sketch(const Shape& of) : shape(of) {
        const Shape& s = shape;
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
                const float bias = s.biased && (i + j) % 3 == 0 ? -0.5f : 0.0f;
                mask.push_back(Half(sees(s, i, j) ? bias : -INFINITY).x);
            }
        }
    }

    std::vector<float> run(int threads, SimdLevel level = simd_level()) const {
        const Shape& s = shape;
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
               threads, level);
        return out;
    }

    Shape shape;
    std::vector<float> queries, keys, values;
    std::vector<Half> half_keys, half_values;
    std::vector<std::uint16_t> mask;

    /// In float64.
    std::vector<double> wanted() const {
        const Shape& s = shape;
        std::vector<double> all;
        for (std::int64_t row = 0; row < s.n_queries * s.n_heads; ++row) {
            const std::int64_t i = row / s.n_heads, key_head = row % s.n_heads / (s.n_heads / s.n_key_heads);
            std::vector<double> weights;
            double sum = 0, most = -INFINITY;
            for (std::int64_t j = 0; j < s.n_keys; ++j) {
                double score = 0;
                for (std::int64_t t = 0; t < s.width; ++t)
                    score += double{at(queries, row * s.width + t)} *
                             double{at(keys, (j * s.n_key_heads + key_head) * s.width + t)};
                const auto bias = Eigen::numext::bit_cast<Half>(at(mask, i * s.n_keys + j));
                weights.push_back(0.3 * score + double{static_cast<float>(bias)});
                most = std::max(most, weights.back());
            }
            for (double& weight : weights) sum += weight = std::isinf(most) ? 0 : std::exp(weight - most);
            for (std::int64_t d = 0; d < s.value_width; ++d) {
                double given = 0;
                for (std::int64_t j = 0; j < s.n_keys; ++j)
                    given += at(weights, j) *
                             double{at(values, (j * s.n_key_heads + key_head) * s.value_width + d)};
                all.push_back(sum > 0 ? given / sum : 0);
            }
        }
        return all;
    }
};

class Attend : public testing::TestWithParam<Shape> {};

TEST_P(Attend, IsThatOfFloat64) {
    const Sketch sketch(GetParam());
    const std::vector<double> wanted = sketch.wanted();
    // Scores are of the size of 40, which float32 knows to 4e-6.
    for (const SimdLevel level : simd_levels()) {
        const std::vector<float> out = sketch.run(2, level);
        ASSERT_EQ(out.size(), wanted.size());
        for (std::size_t i = 0; i < out.size(); ++i)
            ASSERT_NEAR(out[i], wanted[i], 5e-5) << simd_name(level) << ", number " << i;
    }
}

TEST_P(Attend, HasTheSameBytesAtAnyNumberOfThreads) {
    const Sketch sketch(GetParam());
    const std::vector<float> one = sketch.run(1);
    for (const int threads : {2, 3, 7, 100}) EXPECT_EQ(sketch.run(threads), one) << threads << " threads";
}

INSTANTIATE_TEST_SUITE_P(Linear, Attend,
                         testing::Values(Shape{150, 150, 6, 2, 16, 16, Sees::before, true},
                                         Shape{64, 300, 4, 4, 32, 24, Sees::before, false},
                                         Shape{130, 130, 3, 1, 8, 8, Sees::own_sequence, true},
                                         Shape{200, 200, 2, 2, 16, 16, Sees::window, true},
                                         Shape{33, 90, 2, 1, 16, 16, Sees::some, false},
                                         Shape{140, 140, 2, 1, 16, 8, Sees::nothing_at_first, true},
                                         Shape{101, 301, 6, 2, 64, 80, Sees::before, true, false},
                                         Shape{130, 130, 2, 1, 20, 33, Sees::own_sequence, false, false},
                                         Shape{70, 200, 1, 1, 128, 128, Sees::window, true, false},
                                         Shape{64, 64, 2, 2, 1, 1, Sees::nothing_at_first, false, false}));

const Shape kPlain{90, 90, 2, 1, 16, 40, Sees::before, false, false};

// Neighbouring queries share a range of keys: zero times what one of them does not see must stay zero.
TEST(AttendNumbers, OfWhatAQueryDoesNotSeeHaveNoPartBeTheyInfinite) {
    Sketch sketch(kPlain);
    const auto last = static_cast<std::ptrdiff_t>(kPlain.n_keys - 1);
    for (const float bad : {INFINITY, NAN}) {
        for (const bool in_values : {true, false}) {
            Sketch broken = sketch;
            auto& numbers = in_values ? broken.values : broken.keys;
            std::fill(numbers.begin() + last * (in_values ? kPlain.value_width : kPlain.width), numbers.end(),
                      bad);
            for (const SimdLevel level : simd_levels()) {
                const std::vector<float> out = broken.run(2, level), whole = sketch.run(2, level);
                const auto of_one = static_cast<std::size_t>(kPlain.n_heads * kPlain.value_width);
                for (std::size_t i = 0; i < out.size() - of_one; ++i)
                    ASSERT_NEAR(out[i], whole[i], 1e-5) << simd_name(level) << ", number " << i;
                for (std::size_t i = out.size() - of_one; i < out.size(); ++i)
                    ASSERT_FALSE(std::isfinite(out[i]));
            }
        }
    }
}

TEST(AttendNumbers, ThatAreNoneAreNotHidden) {
    Sketch sketch(kPlain);
    sketch.queries[static_cast<std::size_t>(7 * kPlain.n_heads * kPlain.width)] = NAN;  // of the first head
    for (const SimdLevel level : simd_levels()) {
        const std::vector<float> out = sketch.run(1, level);
        for (std::int64_t row = 0; row < kPlain.n_queries * kPlain.n_heads; ++row) {
            const float first = at(out, row * kPlain.value_width);
            ASSERT_EQ(std::isnan(first), row == 7 * kPlain.n_heads) << simd_name(level) << ", row " << row;
        }
    }
}

}  // namespace
}  // namespace tomograph
