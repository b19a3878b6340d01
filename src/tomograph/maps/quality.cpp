#include "tomograph/maps/quality.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <vector>

#include "tomograph/base/error.h"
#include "tomograph/base/random.h"
#include "tomograph/base/threads.h"
#include "tomograph/neighbors/distances.h"

namespace tomograph {
namespace {

/// Per sampled row, reduced in order afterwards.
struct RowQuality {
    double rank_excess = 0;
    std::int64_t kept = 0;
    std::int64_t own_on_map = 0, own_in_space = 0;  // neighbours of the row's own group
};

/// Place of row j among all rows around another one by ascending distance, ties by index: 0 is the nearest.
/// `squared`: their distances from it, infinite for itself.
std::int64_t rank_of(std::int64_t j, const std::vector<float>& squared) {
    const auto n = static_cast<std::int64_t>(squared.size());
    const float own = squared[j];
    std::int64_t before = 0;
    for (std::int64_t t = 0; t < j; ++t) before += squared[t] <= own;
    for (std::int64_t t = j + 1; t < n; ++t) before += squared[t] < own;
    return before;
}

/// The k nearest of all rows, ascending by distance, ties by index.
std::vector<std::int32_t> nearest(const std::vector<float>& squared, std::vector<std::int32_t>& order,
                                  int k) {
    std::iota(order.begin(), order.end(), 0);
    const auto nearer = [&](std::int32_t a, std::int32_t b) {
        return squared[a] != squared[b] ? squared[a] < squared[b] : a < b;
    };
    std::nth_element(order.begin(), order.begin() + (k - 1), order.end(), nearer);
    return {order.begin(), order.begin() + k};
}

}  // namespace

MapQuality measure_quality(const RowSource& rows, const Matrix& points, const QualityOptions& options) {
    if (rows.n_rows() != points.rows()) {
        throw Error(fmt::format("cannot compare {} rows with {} points", rows.n_rows(), points.rows()), "",
                    "");
    }
    if (!options.groups.empty() && std::ssize(options.groups) != rows.n_rows())
        throw Error(fmt::format("{} rows have no {} groups", rows.n_rows(), options.groups.size()), "", "");
    const auto chosen = sample_indices(rows.n_rows(), options.sample, mix(options.seed, 0x7175));
    const auto n = static_cast<std::int64_t>(chosen.size());
    if (n < 4) throw Error(fmt::format("cannot judge a map of {} points", n), "", "select more rows");

    MapQuality quality;
    quality.n_sampled = n;
    quality.k = static_cast<int>(std::clamp<std::int64_t>(options.k, 1, (n - 1) / 2));
    const PreparedSpace space(options.metric, rows.dim());
    const std::int64_t width = space.width();
    const auto vectors = make_float_buffer(n * width);
    Matrix map = Matrix::Zero(n, 16);
    for (std::int64_t i = 0; i < n; ++i) {
        space.read(rows, chosen[i], chosen[i] + 1, vectors.get() + i * width);
        map.row(i).head(points.cols()) = points.row(chosen[i]);
    }
    std::vector<std::int32_t> all(n);
    std::iota(all.begin(), all.end(), 0);
    std::vector<RowQuality> per_row(n);
    std::vector<std::int32_t> group;  // of the sampled rows
    if (!options.groups.empty()) {
        for (const std::int64_t row : chosen) group.push_back(options.groups[row]);
    }
    const auto of_own = [&](std::int64_t i, const std::vector<std::int32_t>& neighbors) {
        return std::count_if(neighbors.begin(), neighbors.end(),
                             [&](std::int32_t j) { return group[j] == group[i]; });
    };
    constexpr float infinity = std::numeric_limits<float>::infinity();
    constexpr std::int64_t block_rows = 32, chunk_rows = 64;
    parallel_for((n + block_rows - 1) / block_rows, thread_count(options.threads), [&](std::int64_t block) {
        const std::int64_t begin = block * block_rows, end = std::min(begin + block_rows, n);
        std::vector<std::vector<float>> in_space(end - begin, std::vector<float>(n));
        // A chunk of rows stays in the near cache while the whole block is held against it.
        for (std::int64_t first = 0; first < n; first += chunk_rows) {
            const std::int64_t count = std::min(chunk_rows, n - first);
            for (std::int64_t i = begin; i < end; ++i)
                squared_distances(vectors.get() + i * width, vectors.get(), width, all.data() + first, count,
                                  in_space[i - begin].data() + first);
        }
        std::vector<float> on_map_squared(n);
        std::vector<std::int32_t> order(n);
        for (std::int64_t i = begin; i < end; ++i) {
            squared_distances(map.row(i).data(), map.data(), map.cols(), all.data(), n,
                              on_map_squared.data());
            on_map_squared[i] = infinity;
            const auto on_map = nearest(on_map_squared, order, quality.k);
            auto& squared = in_space[i - begin];
            squared[i] = infinity;
            for (const std::int32_t j : on_map) {
                const std::int64_t beyond = rank_of(j, squared) + 1 - quality.k;
                if (beyond > 0) per_row[i].rank_excess += static_cast<double>(beyond);
                per_row[i].kept += beyond <= 0;
            }
            if (group.empty()) continue;
            per_row[i].own_on_map = of_own(i, on_map);
            per_row[i].own_in_space = of_own(i, nearest(squared, order, quality.k));
        }
    });
    double excess = 0;
    std::int64_t kept = 0;
    for (const auto& row : per_row) excess += row.rank_excess, kept += row.kept;
    const auto count = static_cast<double>(n), k = static_cast<double>(quality.k);
    quality.trustworthiness = 1 - excess * 2 / (count * k * (2 * count - 3 * k - 1));
    quality.neighbor_recall = static_cast<double>(kept) / (count * k);
    if (group.empty()) return quality;
    std::int64_t on_map = 0, in_space = 0, pairs = 0;
    for (const auto& row : per_row) on_map += row.own_on_map, in_space += row.own_in_space;
    std::map<std::int32_t, std::int64_t> sizes;
    for (const std::int32_t g : group) ++sizes[g];
    for (const auto& [g, size] : sizes) pairs += size * (size - 1);
    quality.own_group_on_map = static_cast<double>(on_map) / (count * k);
    quality.own_group_in_space = static_cast<double>(in_space) / (count * k);
    quality.own_group_by_chance = static_cast<double>(pairs) / (count * (count - 1));
    return quality;
}

double silhouette(const Matrix& points, const std::vector<std::int32_t>& labels, std::int64_t sample,
                  std::uint64_t seed, int threads) {
    const auto chosen = sample_indices(points.rows(), sample, mix(seed, 0x7369));
    const auto n = static_cast<std::int64_t>(chosen.size());
    std::map<std::int32_t, std::int64_t> sizes;
    for (const auto row : chosen) ++sizes[labels[row]];
    if (sizes.size() < 2) return 0;
    std::vector<double> scores(n, 0.0);
    parallel_for(n, thread_count(threads), [&](std::int64_t i) {
        std::map<std::int32_t, double> sums;
        for (const auto row : chosen) {
            sums[labels[row]] += (points.row(chosen[i]) - points.row(row)).cast<double>().norm();
        }
        const std::int32_t own = labels[chosen[i]];
        if (sizes.at(own) < 2) return;
        const double inside = sums[own] / static_cast<double>(sizes.at(own) - 1);
        double outside = std::numeric_limits<double>::infinity();
        for (const auto& [label, sum] : sums) {
            if (label != own) outside = std::min(outside, sum / static_cast<double>(sizes.at(label)));
        }
        const double larger = std::max(inside, outside);
        scores[i] = larger > 0 ? (outside - inside) / larger : 0;
    });
    return std::accumulate(scores.begin(), scores.end(), 0.0) / static_cast<double>(n);
}

}  // namespace tomograph
