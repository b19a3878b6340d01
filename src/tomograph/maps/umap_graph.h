#pragma once
#include <cstdint>
#include <vector>

#include "tomograph/neighbors/neighbors.h"

namespace tomograph {

/// A sparse weighted graph in rows: edges of vertex i are [offsets[i], offsets[i + 1]), ascending by target.
struct WeightedGraph {
    std::vector<std::int64_t> offsets{0};  // [n + 1]
    std::vector<std::int32_t> targets;
    std::vector<float> weights;  // in (0, 1]
    std::int64_t n() const { return static_cast<std::int64_t>(offsets.size()) - 1; }
};

/// How fast membership falls off around each row: weight of a neighbour at distance d is
/// exp(-max(0, d - rho) / sigma).
struct LocalScales {
    std::vector<float> rho;    // [n] distance of the nearest neighbour that is not at distance 0
    std::vector<float> sigma;  // [n] such that the weights sum to log2(k + 1)
};

/// umap-learn's smooth_knn_dist with local_connectivity 1. Neighbors do not hold the row itself, so k of ours
/// is its n_neighbors - 1.
LocalScales smooth_distances(const Neighbors& neighbors, int threads);

/// Directed membership strengths [n, k] (umap-learn's compute_membership_strengths).
Matrix memberships(const Neighbors& neighbors, const LocalScales& scales);

/// The fuzzy simplicial set: union of directed memberships, w_ij + w_ji - w_ij w_ji. Symmetric.
/// McInnes, Healy & Melville (2018), "UMAP: Uniform Manifold Approximation and Projection", sections 3.1
/// and 4.1.
WeightedGraph fuzzy_union(const Neighbors& neighbors, int threads);

/// Rows of `memberships` as a directed graph: new rows against a fitted map.
WeightedGraph directed_graph(const Neighbors& neighbors, int threads);

/// Number of connected components of a symmetric graph.
std::int64_t count_components(const WeightedGraph& graph);

}  // namespace tomograph
