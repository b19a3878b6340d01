#pragma once
#include <cstdint>
#include <optional>

#include "tomograph/base/matrix.h"
#include "tomograph/base/rows.h"
#include "tomograph/reduce/metric.h"
#include "tomograph/reduce/umap_graph.h"

namespace tomograph {

/// Both give start positions [n, dims] scaled to [0, 10] a dimension, as umap-learn does before its layout,
/// with a little seeded noise, so that equal rows do not start from one point.

/// First principal components of the prepared rows (unit vectors under cosine). Scores beyond the middle 99%
/// are drawn in to its ends: a few massive activations would otherwise press everything else into one point.
Matrix pca_init(const RowSource& rows, Metric metric, int dims, std::uint64_t seed, int threads);

/// Eigenvectors of the graph's normalised Laplacian next to its constant one, by Lanczos iteration (Spectra).
/// Belkin & Niyogi (2003), "Laplacian Eigenmaps". Nothing when the graph is not connected or the iteration
/// does not converge: start from pca_init() then.
std::optional<Matrix> spectral_init(const WeightedGraph& graph, int dims, std::uint64_t seed, int threads);

}  // namespace tomograph
