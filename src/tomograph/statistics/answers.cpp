#include "tomograph/statistics/answers.h"

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <numeric>

namespace tomograph {
namespace {

constexpr Eigen::Index kBlock = 4096;  // float32 sums of so many, float64 over them
constexpr float kNever = -1e30f;       // in place of -inf, so that 0 times it is 0

/// Calls each(first, length) for blocks of [0, n) and adds up what it gives.
template <class Each>
double sum_blocks(std::size_t n, Each each) {
    double sum = 0;
    const auto length = static_cast<Eigen::Index>(n);
    for (Eigen::Index first = 0; first < length; first += kBlock)
        sum += static_cast<double>(each(first, std::min(kBlock, length - first)));
    return sum;
}

Eigen::Map<const Eigen::ArrayXf> array_of(std::span<const float> values) {
    return {values.data(), static_cast<Eigen::Index>(values.size())};
}

}  // namespace

LogitRow read_logits(std::span<const float> logits) {
    const auto values = array_of(logits);
    Eigen::Index top = 0;
    const float largest = values.maxCoeff(&top);
    const double sum = sum_blocks(logits.size(), [&](Eigen::Index first, Eigen::Index n) {
        return (values.segment(first, n) - largest).exp().sum();
    });
    return {logits, std::log(sum) + static_cast<double>(largest), static_cast<std::int32_t>(top)};
}

Answer answer_of(std::span<const float> logits) {
    const LogitRow reading = read_logits(logits);
    Answer answer{.p = std::vector<float>(logits.size()), .entropy = 0, .top = reading.top};
    const auto values = array_of(logits);
    Eigen::Map<Eigen::ArrayXf> p(answer.p.data(), values.size());
    p = (values - static_cast<float>(reading.log_sum)).exp();
    const double mean = sum_blocks(logits.size(), [&](Eigen::Index first, Eigen::Index n) {
        return (p.segment(first, n) * values.segment(first, n).max(kNever)).sum();
    });
    answer.entropy = reading.log_sum - mean;
    return answer;
}

double divergence(const Answer& answer, const LogitRow& reading) {
    const auto p = array_of(answer.p), q = array_of(reading.logits);
    const double mean = sum_blocks(answer.p.size(), [&](Eigen::Index first, Eigen::Index n) {
        return (p.segment(first, n) * q.segment(first, n).max(kNever)).sum();
    });
    const double kl = reading.log_sum - mean - answer.entropy;
    return kl < 0 ? 0 : kl;  // below 0 by rounding; NaN stays
}

std::int64_t rank_of(std::span<const float> logits, std::int32_t token) {
    const float mine = logits[static_cast<std::size_t>(token)];
    return 1 + (array_of(logits) > mine).count();
}

std::vector<std::int32_t> top_tokens(std::span<const float> values, std::size_t n) {
    std::vector<std::int32_t> order(values.size());
    std::iota(order.begin(), order.end(), 0);
    n = std::min(n, order.size());
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(n), order.end(),
                      [&](std::int32_t a, std::int32_t b) {
                          const float p = values[static_cast<std::size_t>(a)],
                                      q = values[static_cast<std::size_t>(b)];
                          return p != q ? p > q : a < b;
                      });
    order.resize(n);
    return order;
}

}  // namespace tomograph
