#include "tomograph/statistics/dimension.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "tomograph/base/threads.h"
#include "tomograph/linear/rows_product.h"
#include "tomograph/statistics/statistics.h"

namespace tomograph {

double participation_ratio(const VectorD& variances) {
    const double squares = variances.squaredNorm(), sum = variances.sum();
    return squares > 0 ? sum * sum / squares : kNoNumber;
}

double entropy_rank(const VectorD& variances) {
    const double sum = variances.sum();
    if (!(sum > 0)) return kNoNumber;
    double entropy = 0;
    for (const double variance : variances) {
        if (variance > 0) entropy -= variance / sum * std::log(variance / sum);
    }
    return std::exp(entropy);
}

double two_nn(const Matrix& distances, std::span<const double> weights) {
    struct Ratio {
        double log_mu, weight;
    };
    std::vector<Ratio> ratios;
    double total = 0;
    if (distances.cols() < 2) return kNoNumber;
    for (Eigen::Index i = 0; i < distances.rows(); ++i) {
        const double weight = weights.empty() ? 1 : weights[static_cast<std::size_t>(i)];
        const double first = distances(i, 0), second = distances(i, 1);
        if (!(first > 0) || weight <= 0) continue;
        ratios.push_back({std::log(second / first), weight});
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

Matrix nearest_of_other_groups(const Matrix& rows, std::span<const std::int32_t> group, int k, int threads) {
    const Eigen::Index n = rows.rows();
    Matrix distances = Matrix::Zero(n, k);
    if (k < 1) return distances;
    // Centred, so that what all rows share does not eat the digits of the differences.
    const Matrix centred = rows.rowwise() - rows.cast<double>().colwise().mean().cast<float>().eval();
    const Vector squares = centred.rowwise().squaredNorm();
    // All rows are packed for the product once a block.
    constexpr Eigen::Index kBlock = 256;
    parallel_for((n + kBlock - 1) / kBlock, threads, [&](std::int64_t block) {
        const Eigen::Index begin = block * kBlock, count = std::min(kBlock, n - begin);
        Matrix products(count, n);
        multiply_by_rows(centred.row(begin).data(), count, centred.data(), n, centred.cols(),
                         products.data());
        // The k nearest by products so far, a heap; their distances are then taken from the differences.
        std::vector<std::pair<float, Eigen::Index>> others;
        for (Eigen::Index i = begin; i < begin + count; ++i) {
            others.clear();
            for (Eigen::Index j = 0; j < n; ++j) {
                const std::pair candidate(squares[j] - 2 * products(i - begin, j), j);
                const bool full = std::ssize(others) == k;
                if (full && !(candidate < others.front())) continue;
                if (group[static_cast<std::size_t>(j)] == group[static_cast<std::size_t>(i)]) continue;
                if (full) {
                    std::pop_heap(others.begin(), others.end());
                    others.pop_back();
                }
                others.push_back(candidate);
                std::push_heap(others.begin(), others.end());
            }
            if (std::ssize(others) < k) continue;
            auto own = distances.row(i);
            for (int c = 0; c < k; ++c)
                own[c] = (rows.row(i) - rows.row(others[static_cast<std::size_t>(c)].second)).norm();
            std::sort(own.begin(), own.end());
        }
    });
    return distances;
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
