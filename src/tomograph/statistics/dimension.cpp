#include "tomograph/statistics/dimension.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "tomograph/base/threads.h"
#include "tomograph/statistics/statistics.h"

namespace tomograph {

double participation_ratio(const VectorD& variances) {
    const double squares = variances.squaredNorm(), sum = variances.sum();
    return squares > 0 ? sum * sum / squares : kNoNumber;
}

double effective_rank(const VectorD& variances) {
    const double sum = variances.sum();
    if (!(sum > 0)) return kNoNumber;
    double entropy = 0;
    for (const double variance : variances) {
        if (variance > 0) entropy -= variance / sum * std::log(variance / sum);
    }
    return std::exp(entropy);
}

double two_nn(std::span<const double> r1, std::span<const double> r2, std::span<const double> weights) {
    struct Ratio {
        double log_mu, weight;
    };
    std::vector<Ratio> ratios;
    double total = 0;
    for (std::size_t i = 0; i < r1.size(); ++i) {
        const double weight = weights.empty() ? 1 : weights[i];
        if (!(r1[i] > 0) || weight <= 0) continue;
        ratios.push_back({std::log(r2[i] / r1[i]), weight});
        total += weight;
    }
    std::sort(ratios.begin(), ratios.end(),
              [](const Ratio& a, const Ratio& b) { return a.log_mu < b.log_mu; });
    const double keep = std::floor(total * (1 - 0.1));
    double below = 0, xy = 0, xx = 0;
    int kept = 0;
    for (const Ratio& ratio : ratios) {
        if (below + ratio.weight > keep) break;
        below += ratio.weight;
        xy += ratio.weight * ratio.log_mu * -std::log1p(-below / total);
        xx += ratio.weight * ratio.log_mu * ratio.log_mu;
        ++kept;
    }
    return kept >= 2 && xx > 0 ? xy / xx : kNoNumber;
}

TwoNearest two_nearest_of_other_groups(const Matrix& rows, std::span<const std::int32_t> group, int threads) {
    const Eigen::Index n = rows.rows();
    const auto size = static_cast<std::size_t>(n);
    TwoNearest near{std::vector<double>(size, 0.0), std::vector<double>(size, 0.0)};
    // Centred, so that what all rows share does not eat the digits of the differences.
    const Matrix centred = rows.rowwise() - rows.cast<double>().colwise().mean().cast<float>().eval();
    const Vector squares = centred.rowwise().squaredNorm();
    constexpr Eigen::Index kBlock = 64;
    parallel_for((n + kBlock - 1) / kBlock, threads, [&](std::int64_t block) {
        const Eigen::Index begin = block * kBlock, count = std::min(kBlock, n - begin);
        const Matrix products = centred.middleRows(begin, count) * centred.transpose();
        for (Eigen::Index i = 0; i < count; ++i) {
            const auto own = static_cast<std::size_t>(begin + i);
            // The nearest two by products; their distances are then taken from the differences.
            Eigen::Index at[2] = {-1, -1};
            float best[2] = {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::infinity()};
            for (Eigen::Index j = 0; j < n; ++j) {
                if (group[static_cast<std::size_t>(j)] == group[own]) continue;
                const float distance = squares[j] - 2 * products(i, j);
                if (distance >= best[1]) continue;
                const int place = distance < best[0] ? 0 : 1;
                if (place == 0) {
                    best[1] = best[0];
                    at[1] = at[0];
                }
                best[place] = distance;
                at[place] = j;
            }
            if (at[1] < 0) continue;
            const double first = (rows.row(begin + i) - rows.row(at[0])).cast<double>().norm(),
                         second = (rows.row(begin + i) - rows.row(at[1])).cast<double>().norm();
            near.first[own] = std::min(first, second);
            near.second[own] = std::max(first, second);
        }
    });
    return near;
}

double mle_dimension(const Matrix& distances, std::span<const double> weights) {
    const Eigen::Index k = distances.cols();
    double inverse_sum = 0, count = 0;
    for (Eigen::Index i = 0; i < distances.rows(); ++i) {
        const double weight = weights.empty() ? 1 : weights[static_cast<std::size_t>(i)];
        if (weight <= 0 || !(distances(i, 0) > 0)) continue;
        double logs = 0;
        for (Eigen::Index j = 0; j < k; ++j)
            logs += std::log(static_cast<double>(distances(i, k - 1)) / static_cast<double>(distances(i, j)));
        inverse_sum += weight * logs / static_cast<double>(k - 1);
        count += weight;
    }
    return count > 0 && inverse_sum > 0 ? count / inverse_sum : kNoNumber;
}

}  // namespace tomograph
