#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "tomograph/base/matrix.h"
#include "tomograph/base/rows.h"
#include "tomograph/maps/umap_graph.h"
#include "tomograph/neighbors/metric.h"

namespace tomograph {

/// All give start positions [n, dims] scaled to [0, 10] a dimension, as umap-learn does before its layout,
/// with a little seeded noise, so that equal rows do not start from one point.

/// First principal components of the prepared rows (unit vectors under cosine). Scores beyond the middle 99%
/// are drawn in to its ends: a few massive activations would otherwise press everything else into one point.
Matrix pca_init(const RowSource& rows, Metric metric, int dims, std::uint64_t seed, int threads);

/// Eigenvectors of the graph's normalised Laplacian next to its constant one, by Lanczos iteration (Spectra).
/// Belkin & Niyogi (2003), "Laplacian Eigenmaps". Nothing when the graph is not connected or the iteration
/// does not converge.
std::optional<Matrix> spectral_init(const WeightedGraph& graph, int dims, std::uint64_t seed, int threads);

/// From a map of groups [n_groups, dims]: every vertex begins amid the groups of its neighbours, by weight.
/// group_of [n] says which group a vertex is in.
Matrix init_from_groups(const WeightedGraph& graph, const std::vector<std::int32_t>& group_of,
                        const Matrix& groups, std::uint64_t seed);

}  // namespace tomograph
