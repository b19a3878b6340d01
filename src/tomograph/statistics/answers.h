#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace tomograph {

/// What a model expects next: a distribution over its vocabulary.
struct Answer {
    std::vector<float> p;  ///< [n_vocab]
    double entropy = 0;    ///< in nats
    std::int32_t top = 0;  ///< the most probable token; of equals the first
};
/// Softmax of `logits`, its sums in float64. A logit of -inf is a token that never comes.
Answer answer_of(std::span<const float> logits);

/// What is compared with an answer: logits, with the logarithm of the sum of their exponentials, which
/// several comparisons share.
struct LogitRow {
    std::span<const float> logits;  ///< [n_vocab]
    double log_sum = 0;
    std::int32_t top = 0;
};
LogitRow read_logits(std::span<const float> logits);

/// Kullback-Leibler divergence of softmax(reading.logits) from `answer`, in nats: what is lost by believing
/// the reading where the answer is true. At least 0; infinity is said as 1e30 or more.
double divergence(const Answer& answer, const LogitRow& reading);

/// 1: no other token has a larger logit.
std::int64_t rank_of(std::span<const float> logits, std::int32_t token);

/// The `n` most probable tokens, most probable first; of equals the one with the smaller number.
std::vector<std::int32_t> top_tokens(std::span<const float> values, std::size_t n);

}  // namespace tomograph
