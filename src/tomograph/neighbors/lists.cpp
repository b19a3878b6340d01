#include "tomograph/neighbors/lists.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "tomograph/base/random.h"
#include "tomograph/base/threads.h"
#include "tomograph/neighbors/distances.h"

namespace tomograph {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

float half_squared_norm(const float* vector, std::int64_t width) {
    double sum = 0;
    for (std::int64_t t = 0; t < width; ++t) sum += static_cast<double>(vector[t]) * vector[t];
    return static_cast<float>(sum / 2);
}

/// Each centroid becomes the mean of its members; one without members stays where it is.
void move_to_means(Centroids& centroids, const float* vectors, const Assignment& assignment, int threads) {
    const Lists lists = group(assignment, centroids.n);
    parallel_for(centroids.n, threads, [&](std::int64_t list) {
        if (lists.size(list) == 0) return;
        std::vector<double> sum(centroids.width, 0.0);
        for (std::int64_t p = lists.offsets[list]; p < lists.offsets[list + 1]; ++p) {
            const float* vector = vectors + lists.order[p] * centroids.width;
            for (std::int64_t t = 0; t < centroids.width; ++t) sum[t] += vector[t];
        }
        for (std::int64_t t = 0; t < centroids.width; ++t) {
            centroids.values[list * centroids.width + t] =
                static_cast<float>(sum[t] / static_cast<double>(lists.size(list)));
        }
    });
    centroids.pack();
}

}  // namespace

void Centroids::pack() {
    packed.width = width;
    packed.panels = make_float_buffer(panels_for(n) * panel_floats(width));
    packed.half_norms.assign(panels_for(n) * panel_width, infinity);
    for (std::int64_t p = 0; p < panels_for(n); ++p) {
        const std::int64_t first = p * panel_width;
        pack_panel(values.data() + first * width, std::min(panel_width, n - first), width, width,
                   packed.panels.get() + p * panel_floats(width));
    }
    for (std::int64_t i = 0; i < n; ++i)
        packed.half_norms[i] = half_squared_norm(values.data() + i * width, width);
}

Assignment Centroids::assign(const float* vectors, std::int64_t n_vectors, int threads) const {
    Assignment result{std::vector<std::int32_t>(n_vectors), std::vector<std::int32_t>(n_vectors)};
    constexpr std::int64_t block_rows = 16 * panel_width;
    parallel_for((n_vectors + block_rows - 1) / block_rows, threads, [&](std::int64_t block) {
        const auto panel = make_float_buffer(panel_floats(width));
        alignas(64) float tile[tile_size];
        const std::int64_t end = std::min((block + 1) * block_rows, n_vectors);
        for (std::int64_t first = block * block_rows; first < end; first += panel_width) {
            const std::int64_t m = std::min(panel_width, end - first);
            pack_panel(vectors + first * width, m, width, width, panel.get());
            float best[panel_width], next[panel_width];
            std::fill_n(best, panel_width, -infinity);
            std::fill_n(next, panel_width, -infinity);
            for (std::int64_t p = 0; p < panels_for(n); ++p) {
                multiply_panels(panel.get(), packed.panel(p), width, tile);
                const float* half_norm = packed.half_norm(p);
                for (std::int64_t i = 0; i < m; ++i) {
                    const float* scores = tile + i * panel_width;
                    for (auto bits = above(scores, half_norm, next[i]); bits; bits &= bits - 1) {
                        const int j = std::countr_zero(bits);
                        const float score = scores[j] - half_norm[j];
                        const auto centroid = static_cast<std::int32_t>(p * panel_width + j);
                        if (score > best[i]) {
                            next[i] = std::exchange(best[i], score);
                            result.second[first + i] = std::exchange(result.nearest[first + i], centroid);
                        } else if (score > next[i]) {
                            next[i] = score;
                            result.second[first + i] = centroid;
                        }
                    }
                }
            }
        }
    });
    return result;
}

Centroids fit_centroids(const float* vectors, std::int64_t n, std::int64_t width,
                        const KMeansOptions& options) {
    const auto chosen =
        sample_indices(n, options.n_lists * options.sample_per_list, mix(options.seed, 0x6b6d));
    const auto m = static_cast<std::int64_t>(chosen.size());
    const auto sample = make_float_buffer(m * width);
    for (std::int64_t i = 0; i < m; ++i)
        std::copy_n(vectors + chosen[i] * width, width, sample.get() + i * width);

    Centroids centroids;
    centroids.n = std::min(options.n_lists, m);
    centroids.width = width;
    centroids.values.resize(centroids.n * width);
    const auto starts = sample_indices(m, centroids.n, mix(options.seed, 0x7374));
    for (std::int64_t i = 0; i < centroids.n; ++i) {
        std::copy_n(sample.get() + starts[i] * width, width, centroids.values.begin() + i * width);
    }
    centroids.pack();
    for (int iteration = 0; iteration < options.iterations; ++iteration) {
        move_to_means(centroids, sample.get(), centroids.assign(sample.get(), m, options.threads),
                      options.threads);
    }
    return centroids;
}

Lists group(const Assignment& assignment, std::int64_t n_lists) {
    const auto n = static_cast<std::int64_t>(assignment.nearest.size());
    Lists lists;
    lists.offsets.assign(n_lists + 1, 0);
    for (const auto list : assignment.nearest) ++lists.offsets[list + 1];
    std::partial_sum(lists.offsets.begin(), lists.offsets.end(), lists.offsets.begin());
    lists.order.resize(n);
    auto next = lists.offsets;
    for (std::int64_t i = 0; i < n; ++i)
        lists.order[next[assignment.nearest[i]]++] = static_cast<std::int32_t>(i);
    lists.bundles.assign(n_lists + 1, 0);
    for (std::int64_t l = 0; l < n_lists; ++l) {
        lists.bundles[l + 1] = lists.bundles[l] + (lists.size(l) + bundle_size - 1) / bundle_size;
        std::stable_sort(
            lists.order.begin() + lists.offsets[l], lists.order.begin() + lists.offsets[l + 1],
            [&](std::int32_t a, std::int32_t b) { return assignment.second[a] < assignment.second[b]; });
    }
    return lists;
}

float Squash::factor(float half_norm) const {
    const float length = std::sqrt(2 * half_norm);
    return length > 0 ? std::log1p(length / unit) / length : 1.0f;
}

std::vector<std::int32_t> nearest_lists(const Centroids& centroids, const Lists& lists, const float* vectors,
                                        const float* half_norms, Squash squash, std::int64_t count,
                                        int threads) {
    const std::int64_t n_bundles = lists.bundles.back(), width = centroids.width;
    std::vector<float> means(n_bundles * width, 0.0f);
    parallel_for(lists.n_lists(), threads, [&](std::int64_t list) {
        for (std::int64_t b = lists.bundles[list]; b < lists.bundles[list + 1]; ++b) {
            const auto [begin, end] = lists.bundle(list, b);
            for (auto position = begin; position < end; ++position) {
                const std::int64_t i = lists.order[position];
                const float factor = squash.factor(half_norms[i]) / static_cast<float>(end - begin);
                for (std::int64_t t = 0; t < width; ++t)
                    means[b * width + t] += factor * vectors[i * width + t];
            }
        }
    });
    std::vector<std::int32_t> result(n_bundles * count);
    parallel_for(panels_for(n_bundles), threads, [&](std::int64_t chunk) {
        const std::int64_t first = chunk * panel_width, m = std::min(panel_width, n_bundles - first);
        const auto panel = make_float_buffer(panel_floats(width));
        pack_panel(means.data() + first * width, m, width, width, panel.get());
        alignas(64) float tile[tile_size];
        std::vector<float> scores(m * centroids.n);
        for (std::int64_t q = 0; q < panels_for(centroids.n); ++q) {
            multiply_panels(panel.get(), centroids.packed.panel(q), width, tile);
            for (std::int64_t i = 0; i < m; ++i) {
                for (std::int64_t j = 0; j < std::min(panel_width, centroids.n - q * panel_width); ++j) {
                    scores[i * centroids.n + q * panel_width + j] =
                        tile[i * panel_width + j] - centroids.packed.half_norm(q)[j];
                }
            }
        }
        std::vector<std::int32_t> order(centroids.n);
        for (std::int64_t i = 0; i < m; ++i) {
            const float* own = scores.data() + i * centroids.n;
            std::iota(order.begin(), order.end(), 0);
            std::partial_sort(
                order.begin(), order.begin() + count, order.end(),
                [&](std::int32_t a, std::int32_t b) { return own[a] != own[b] ? own[a] > own[b] : a < b; });
            std::copy_n(order.begin(), count, result.begin() + (first + i) * count);
        }
    });
    return result;
}

}  // namespace tomograph
