#pragma once
#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "tomograph/linear/panels.h"

namespace tomograph {

/// Vectors [n, width] as panels of 48 with half their squared norms, padding included (its half norm is
/// infinite, so that it never scores).
struct PackedVectors {
    std::int64_t width = 0;
    FloatBuffer panels;             // [n_panels][width][48]
    std::vector<float> half_norms;  // [n_panels * 48]
    const float* panel(std::int64_t p) const { return panels.get() + p * panel_floats(width); }
    const float* half_norm(std::int64_t p) const { return half_norms.data() + p * panel_width; }
};

struct Assignment {
    std::vector<std::int32_t> nearest;  // [n]
    std::vector<std::int32_t> second;   // [n]
};

/// Centroids of a clustering, ready for assigning vectors to them.
struct Centroids {
    std::int64_t n = 0;
    std::int64_t width = 0;
    std::vector<float> values;  // [n, width]
    PackedVectors packed;

    /// Recompute `packed` from `values`.
    void pack();
    /// The two nearest centroids of each of vectors [n, width]. Ties go to the lower index.
    Assignment assign(const float* vectors, std::int64_t n_vectors, int threads) const;
};

struct KMeansOptions {
    std::int64_t n_lists = 1;
    int iterations = 5;
    /// Vectors per list that take part in fitting.
    std::int64_t sample_per_list = 10;
    std::uint64_t seed = 0;
    int threads = 0;
};

/// Lloyd's k-means on a seeded sample of vectors [n, width], starting from some of them. It partitions for
/// the neighbour search, where a rough answer serves as well as a good one.
Centroids fit_centroids(const float* vectors, std::int64_t n, std::int64_t width,
                        const KMeansOptions& options);

/// Vectors that search the same lists: fewer fit them better, more share the reading of the lists.
constexpr std::int64_t bundle_size = 16;

/// Vectors grouped: list l holds positions [offsets[l], offsets[l + 1]); order[position] is the vector's
/// index.
struct Lists {
    std::vector<std::int64_t> offsets;  // [n_lists + 1]
    std::vector<std::int32_t> order;    // [n]
    /// List l is searched in bundles [bundles[l], bundles[l + 1]) of `bundle_size` vectors, the last one
    /// shorter.
    std::vector<std::int64_t> bundles;  // [n_lists + 1]
    std::int64_t n_lists() const { return static_cast<std::int64_t>(offsets.size()) - 1; }
    std::int64_t size(std::int64_t list) const { return offsets[list + 1] - offsets[list]; }
    /// Positions [first, second) of bundle b of a list.
    std::pair<std::int64_t, std::int64_t> bundle(std::int64_t list, std::int64_t b) const {
        const std::int64_t begin = offsets[list] + (b - bundles[list]) * bundle_size;
        return {begin, std::min(begin + bundle_size, offsets[list + 1])};
    }
};

/// Lists by nearest centroid; within one, by second nearest, so that the vectors of a bundle lie close
/// together.
Lists group(const Assignment& assignment, std::int64_t n_lists);

/// Lists partition vectors whose lengths are squashed by log(1 + length / unit): the few massive ones would
/// otherwise take all centroids for themselves.
struct Squash {
    float unit = 1;
    /// What a vector of that half squared length is multiplied by.
    float factor(float half_norm) const;
};

/// For each bundle of grouped vectors, the `count` centroids nearest to the mean of its squashed vectors,
/// nearest first: the lists worth searching for all of them. vectors [n, width] and half_norms [n] by index.
/// [n_bundles, count], count at most centroids.n.
std::vector<std::int32_t> nearest_lists(const Centroids& centroids, const Lists& lists, const float* vectors,
                                        const float* half_norms, Squash squash, std::int64_t count,
                                        int threads);

}  // namespace tomograph
