#include "tomograph/maps/umap_graph.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "tomograph/base/threads.h"

namespace tomograph {
namespace {

/// Rows that a thread takes at once: few, for a graph of lists has wide rows and no more than a thousand.
constexpr std::int64_t block_rows = 64;

/// umap-learn's sigma, by Newton's steps in its logarithm where they stay between the bounds that bisection
/// keeps: a quarter of its steps.
float find_sigma(const float* distances, std::int64_t k, float rho) {
    // The row itself is no neighbour here, and none of umap-learn's sum either; but its n_neighbors counts
    // it.
    const double target = std::log2(static_cast<double>(k + 1));
    double low = 0, high = std::numeric_limits<double>::infinity(), sigma = 1;
    for (int iteration = 0; iteration < 64; ++iteration) {
        double sum = 0, slope = 0;
        for (std::int64_t i = 0; i < k; ++i) {
            const double beyond = static_cast<double>(distances[i]) - rho;
            const double term = beyond > 0 ? std::exp(-beyond / sigma) : 1.0;
            sum += term;
            if (beyond > 0) slope += beyond / sigma * term;
        }
        if (std::fabs(sum - target) < 1e-5) break;
        (sum > target ? high : low) = sigma;
        const double step = sigma * std::exp(std::clamp((target - sum) / slope, -4.0, 4.0));
        sigma = step > low && step < high ? step : std::isinf(high) ? sigma * 2 : (low + high) / 2;
    }
    return static_cast<float>(sigma);
}

}  // namespace

LocalScales smooth_distances(const Neighbors& neighbors, int threads) {
    const std::int64_t n = neighbors.distances.rows(), k = neighbors.distances.cols();
    LocalScales scales{std::vector<float>(n), std::vector<float>(n)};
    std::vector<double> sums(n);
    constexpr double smallest = 1e-3;  // of the mean distance: a floor for sigma
    parallel_for((n + block_rows - 1) / block_rows, threads, [&](std::int64_t block) {
        for (std::int64_t row = block * block_rows; row < std::min((block + 1) * block_rows, n); ++row) {
            const float* distances = neighbors.distances.row(row).data();
            const float* positive = std::find_if(distances, distances + k, [](float d) { return d > 0; });
            scales.rho[row] = positive == distances + k ? 0.0f : *positive;
            scales.sigma[row] = find_sigma(distances, k, scales.rho[row]);
            sums[row] = std::accumulate(distances, distances + k, 0.0);
            if (scales.rho[row] > 0) {
                const double mean = sums[row] / static_cast<double>(k + 1);
                scales.sigma[row] = std::max(scales.sigma[row], static_cast<float>(smallest * mean));
            }
        }
    });
    const double overall = std::accumulate(sums.begin(), sums.end(), 0.0) / static_cast<double>(n * (k + 1));
    for (std::int64_t row = 0; row < n; ++row) {
        if (scales.rho[row] > 0) continue;
        scales.sigma[row] = std::max(scales.sigma[row], static_cast<float>(smallest * overall));
    }
    return scales;
}

Matrix memberships(const Neighbors& neighbors, const LocalScales& scales) {
    const std::int64_t n = neighbors.distances.rows(), k = neighbors.distances.cols();
    Matrix strengths(n, k);
    for (std::int64_t row = 0; row < n; ++row) {
        for (std::int64_t i = 0; i < k; ++i) {
            const float beyond = neighbors.distances(row, i) - scales.rho[row];
            strengths(row, i) =
                beyond <= 0 || scales.sigma[row] == 0 ? 1.0f : std::exp(-beyond / scales.sigma[row]);
        }
    }
    return strengths;
}

WeightedGraph directed_graph(const Neighbors& neighbors, int threads) {
    const std::int64_t n = neighbors.indices.rows(), k = neighbors.indices.cols();
    const Matrix strengths = memberships(neighbors, smooth_distances(neighbors, threads));
    WeightedGraph graph;
    graph.offsets.resize(n + 1);
    graph.targets.resize(n * k);
    graph.weights.resize(n * k);
    for (std::int64_t row = 0; row <= n; ++row) graph.offsets[row] = row * k;
    parallel_for((n + block_rows - 1) / block_rows, threads, [&](std::int64_t block) {
        std::vector<std::pair<std::int32_t, float>> edges(k);
        for (std::int64_t row = block * block_rows; row < std::min((block + 1) * block_rows, n); ++row) {
            for (std::int64_t i = 0; i < k; ++i) edges[i] = {neighbors.indices(row, i), strengths(row, i)};
            std::sort(edges.begin(), edges.end());
            for (std::int64_t i = 0; i < k; ++i) {
                graph.targets[row * k + i] = edges[i].first;
                graph.weights[row * k + i] = edges[i].second;
            }
        }
    });
    return graph;
}

WeightedGraph fuzzy_union(const Neighbors& neighbors, int threads) {
    const WeightedGraph out = directed_graph(neighbors, threads);
    const std::int64_t n = out.n();
    // The transpose, each row's sources ascending because they are visited in order.
    WeightedGraph in;
    in.offsets.assign(n + 1, 0);
    for (const auto target : out.targets) ++in.offsets[target + 1];
    std::partial_sum(in.offsets.begin(), in.offsets.end(), in.offsets.begin());
    in.targets.resize(out.targets.size());
    in.weights.resize(out.targets.size());
    auto next = in.offsets;
    for (std::int64_t row = 0; row < n; ++row) {
        for (std::int64_t e = out.offsets[row]; e < out.offsets[row + 1]; ++e) {
            const auto slot = next[out.targets[e]]++;
            in.targets[slot] = static_cast<std::int32_t>(row);
            in.weights[slot] = out.weights[e];
        }
    }
    // Merge both sorted lists of every row; first count, then fill.
    const auto merge_row = [&](std::int64_t row, auto emit) {
        std::int64_t a = out.offsets[row], b = in.offsets[row];
        const std::int64_t a_end = out.offsets[row + 1], b_end = in.offsets[row + 1];
        while (a < a_end || b < b_end) {
            if (b == b_end || (a < a_end && out.targets[a] < in.targets[b])) {
                emit(out.targets[a], out.weights[a]);
                ++a;
            } else if (a == a_end || in.targets[b] < out.targets[a]) {
                emit(in.targets[b], in.weights[b]);
                ++b;
            } else {
                emit(out.targets[a], out.weights[a] + in.weights[b] - out.weights[a] * in.weights[b]);
                ++a, ++b;
            }
        }
    };
    WeightedGraph graph;
    graph.offsets.assign(n + 1, 0);
    const std::int64_t n_blocks = (n + block_rows - 1) / block_rows;
    parallel_for(n_blocks, threads, [&](std::int64_t block) {
        for (std::int64_t row = block * block_rows; row < std::min((block + 1) * block_rows, n); ++row) {
            merge_row(row, [&](std::int32_t, float weight) { graph.offsets[row + 1] += weight > 0; });
        }
    });
    std::partial_sum(graph.offsets.begin(), graph.offsets.end(), graph.offsets.begin());
    graph.targets.resize(graph.offsets.back());
    graph.weights.resize(graph.offsets.back());
    parallel_for(n_blocks, threads, [&](std::int64_t block) {
        for (std::int64_t row = block * block_rows; row < std::min((block + 1) * block_rows, n); ++row) {
            auto slot = graph.offsets[row];
            merge_row(row, [&](std::int32_t target, float weight) {
                if (weight <= 0) return;  // far beyond sigma: rounded to nothing
                graph.targets[slot] = target;
                graph.weights[slot++] = weight;
            });
        }
    });
    return graph;
}

std::int64_t count_components(const WeightedGraph& graph) {
    std::vector<char> seen(graph.n(), 0);
    std::vector<std::int32_t> open;
    std::int64_t components = 0;
    for (std::int64_t start = 0; start < graph.n(); ++start) {
        if (seen[start]) continue;
        ++components;
        seen[start] = 1;
        open.push_back(static_cast<std::int32_t>(start));
        while (!open.empty()) {
            const auto vertex = open.back();
            open.pop_back();
            for (auto e = graph.offsets[vertex]; e < graph.offsets[vertex + 1]; ++e) {
                if (seen[graph.targets[e]]) continue;
                seen[graph.targets[e]] = 1;
                open.push_back(graph.targets[e]);
            }
        }
    }
    return components;
}

}  // namespace tomograph
