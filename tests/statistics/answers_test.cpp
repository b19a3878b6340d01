#include "tomograph/statistics/answers.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tomograph/base/random.h"

namespace tomograph {
namespace {

std::vector<float> random_logits(std::size_t n, std::uint64_t seed) {
    Rng rng(seed);
    std::vector<float> logits(n);
    for (float& logit : logits) logit = static_cast<float>(4 * rng.normal() + 10);
    return logits;
}

std::vector<long double> softmax(const std::vector<float>& logits) {
    long double sum = 0;
    std::vector<long double> p;
    for (const float logit : logits) sum += p.emplace_back(std::exp(static_cast<long double>(logit)));
    for (long double& one : p) one /= sum;
    return p;
}

TEST(Answers, AreTheSoftmaxAndItsEntropy) {
    const auto logits = random_logits(9001, 1);
    const auto p = softmax(logits);
    const Answer answer = answer_of(logits);
    long double entropy = 0;
    for (std::size_t v = 0; v < p.size(); ++v) {
        EXPECT_NEAR(answer.p[v], static_cast<double>(p[v]), 2e-6);
        entropy -= p[v] * std::log(p[v]);
    }
    EXPECT_NEAR(answer.entropy, static_cast<double>(entropy), 3e-5);
    EXPECT_EQ(answer.top, std::max_element(logits.begin(), logits.end()) - logits.begin());
}

TEST(Answers, DivergeFromReadingsByTheFormula) {
    for (const std::size_t n : {5u, 4096u, 50000u}) {
        const auto logits = random_logits(n, 1), other = random_logits(n, 2);
        const auto p = softmax(logits), q = softmax(other);
        long double kl = 0;
        for (std::size_t v = 0; v < n; ++v) kl += p[v] * std::log(p[v] / q[v]);
        EXPECT_NEAR(divergence(answer_of(logits), read_logits(other)), static_cast<double>(kl), 2e-5) << n;
        EXPECT_EQ(divergence(answer_of(logits), read_logits(logits)), 0) << n;
    }
}

TEST(Answers, KnowTokensThatNeverCome) {
    constexpr float kNever = -std::numeric_limits<float>::infinity();
    const std::vector<float> three{1, 1, kNever}, two{1, kNever, 1};
    const Answer answer = answer_of(three);
    EXPECT_EQ(answer.p[2], 0);
    EXPECT_NEAR(answer.entropy, std::log(2), 1e-6);
    EXPECT_NEAR(divergence(answer, read_logits(three)), 0, 1e-6);
    EXPECT_GT(divergence(answer, read_logits(two)), 1e20);
    const std::vector<float> broken{1, std::numeric_limits<float>::quiet_NaN(), 1};
    EXPECT_TRUE(std::isnan(divergence(answer, read_logits(broken))));
}

TEST(Answers, RankAndOrderTokens) {
    const std::vector<float> logits{3, 5, 5, -1, 4};
    EXPECT_EQ(rank_of(logits, 1), 1);
    EXPECT_EQ(rank_of(logits, 2), 1) << "none is larger";
    EXPECT_EQ(rank_of(logits, 0), 4);
    EXPECT_EQ(rank_of(logits, 3), 5);
    EXPECT_EQ(top_tokens(logits, 3), (std::vector<std::int32_t>{1, 2, 4}));
    EXPECT_EQ(top_tokens(logits, 9).size(), 5u);
}

}  // namespace
}  // namespace tomograph
