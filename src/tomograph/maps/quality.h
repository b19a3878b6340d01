#pragma once
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "tomograph/base/matrix.h"
#include "tomograph/base/rows.h"
#include "tomograph/neighbors/metric.h"

namespace tomograph {

/// What to believe of a map, measured on a seeded sample of rows.
struct MapQuality {
    /// Are neighbours on the map neighbours in space? sklearn.manifold.trustworthiness on the sampled rows
    /// alone: 1 - 2 / (n k (2n - 3k - 1)) * sum of (rank in space - k) over map neighbours. 0.5 for a random
    /// map.
    double trustworthiness = 0;
    /// Share of each row's k nearest in space that are among its k nearest on the map, both within the
    /// sample.
    double neighbor_recall = 0;
    /// With groups: how many of a row's k nearest are of its own group, on the map and in space, as a share;
    /// and what rows drawn at random would be. NaN without.
    double own_group_on_map = std::numeric_limits<double>::quiet_NaN(), own_group_in_space = own_group_on_map,
           own_group_by_chance = own_group_on_map;
    std::int64_t n_sampled = 0;
    int k = 0;
};

struct QualityOptions {
    /// Of distances in space; on the map they are euclidean.
    Metric metric = Metric::euclidean;
    int k = 15;
    /// Rows of the sample. Cost: its square times d.
    std::int64_t sample = 5000;
    std::uint64_t seed = 0;
    int threads = 0;
    /// Which group each row is of, [n]; empty: none. Must live as long as the call.
    std::span<const std::int32_t> groups = {};
};

/// points [n, dims] of rows [n, d]. k is lowered to what the sample allows: k < n / 2.
/// Errors: Error when the numbers of rows (or groups) differ or there are fewer than 4; NonFinite naming the
/// row.
MapQuality measure_quality(const RowSource& rows, const Matrix& points, const QualityOptions& options = {});

/// Mean silhouette (Rousseeuw 1987) of labelled points, euclidean, on a seeded sample; sklearn's
/// silhouette_score. labels [n]. 0 when the sample has fewer than 2 labels.
double silhouette(const Matrix& points, const std::vector<std::int32_t>& labels, std::int64_t sample = 5000,
                  std::uint64_t seed = 0, int threads = 0);

}  // namespace tomograph
