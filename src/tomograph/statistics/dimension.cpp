#include "tomograph/statistics/dimension.h"

#include <algorithm>
#include <cmath>
#include <numeric>

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
