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
};

/// Order of all rows around `self`, itself last: ascending distance, ties by index.
void rank_around(const std::vector<float>& squared, std::int64_t self, std::vector<std::int32_t>& order) {
    order.resize(squared.size());
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](std::int32_t a, std::int32_t b) {
        if ((a == self) != (b == self)) return b == self;
        return squared[a] != squared[b] ? squared[a] < squared[b] : a < b;
    });
}

}  // namespace

MapQuality measure_quality(const RowSource& rows, const Matrix& points, const QualityOptions& options) {
    if (rows.n_rows() != points.rows()) {
        throw Error(fmt::format("cannot compare {} rows with {} points", rows.n_rows(), points.rows()), "",
                    "");
    }
    const auto chosen = sample_indices(rows.n_rows(), options.sample, mix(options.seed, 0x7175));
    const auto n = static_cast<std::int64_t>(chosen.size());
    if (n < 4) throw Error(fmt::format("cannot judge a map of {} points", n), "", "select more rows");

    MapQuality quality;
    quality.n_sampled = n;
    quality.k = static_cast<int>(std::min<std::int64_t>(options.k, (n - 1) / 2));
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
    parallel_for(n, thread_count(options.threads), [&](std::int64_t i) {
        std::vector<float> squared(n);
        std::vector<std::int32_t> order, rank(n);
        squared_distances(vectors.get() + i * width, vectors.get(), width, all.data(), n, squared.data());
        rank_around(squared, i, order);
        for (std::int64_t r = 0; r < n; ++r) rank[order[r]] = static_cast<std::int32_t>(r);
        squared_distances(map.row(i).data(), map.data(), map.cols(), all.data(), n, squared.data());
        squared[i] = std::numeric_limits<float>::infinity();
        order = all;
        std::partial_sort(order.begin(), order.begin() + quality.k, order.end(),
                          [&](std::int32_t a, std::int32_t b) {
                              return squared[a] != squared[b] ? squared[a] < squared[b] : a < b;
                          });
        for (int j = 0; j < quality.k; ++j) {
            const std::int32_t beyond = rank[order[j]] + 1 - quality.k;
            if (beyond > 0) per_row[i].rank_excess += beyond;
            per_row[i].kept += beyond <= 0;
        }
    });
    double excess = 0;
    std::int64_t kept = 0;
    for (const auto& row : per_row) excess += row.rank_excess, kept += row.kept;
    const auto count = static_cast<double>(n), k = static_cast<double>(quality.k);
    quality.trustworthiness = 1 - excess * 2 / (count * k * (2 * count - 3 * k - 1));
    quality.neighbor_recall = static_cast<double>(kept) / (count * k);
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
