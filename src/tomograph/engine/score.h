#pragma once
#include <cstdint>
#include <span>

namespace tomograph {

/// What a model thought of the token that came, before it came.
struct TokenScore {
    float logprob = 0;  ///< natural logarithm of its probability
    float entropy = 0;  ///< of the whole prediction, in nats: 0 is certainty
    float rank = 0;     ///< 1: no other token was thought more probable
};

/// Softmax over `logits`, [n_vocab], in float64. Not finite where a logit is NaN.
TokenScore score_token(std::span<const float> logits, std::int32_t token);

}  // namespace tomograph
