#pragma once
#include <cstdint>
#include <vector>

#include "tomograph/base/matrix.h"
#include "tomograph/base/progress.h"
#include "tomograph/maps/umap_curve.h"
#include "tomograph/maps/umap_graph.h"

namespace tomograph {

struct LayoutOptions {
    UmapCurve curve;
    int n_epochs = 200;
    /// Step of the first epoch; falls linearly to 0.
    double learning_rate = 1;
    /// Points that push a vertex away for each edge that pulls it.
    int negative_sample_rate = 5;
    double repulsion_strength = 1;
    std::uint64_t seed = 0;
    int threads = 0;
};

/// UMAP's optimisation of the cross-entropy, gathered instead of scattered: in each epoch every vertex walks
/// along its own sampled edges while all others stay where the last epoch left them. So vertices are
/// independent within an epoch: any number of threads gives the same bytes, and the forces on one are
/// computed side by side. An edge of weight w is drawn in w / w_max of the epochs, as in umap-learn; random
/// numbers are hashes of (seed, epoch, vertex). Each drawn edge pulls twice, once for each end that
/// umap-learn draws it from.
///
/// An object that is advanced epoch by epoch, so that a caller may watch the map form.
class UmapLayout {
  public:
    /// A map of graph.n() vertices among themselves; `points` [n, 2 or 3] is where they start.
    UmapLayout(const WeightedGraph& graph, const Matrix& points, const LayoutOptions& options);
    /// New vertices against a fixed map [m, 2 or 3]: graph rows are the new ones, targets are rows of the
    /// map. umap-learn's transform: the map does not move.
    UmapLayout(const WeightedGraph& graph, const Matrix& points, const Matrix& fixed_map,
               const LayoutOptions& options);

    int epoch() const { return epoch_; }
    bool done() const { return epoch_ >= options_.n_epochs; }
    void advance();
    /// [n, dims] as of the last epoch.
    Matrix points() const;

  private:
    UmapLayout(const WeightedGraph& graph, const Matrix& points, const Matrix* fixed_map,
               const LayoutOptions& options);
    void number_vertices(const WeightedGraph& graph, const Matrix& points);
    void collect_edges(const WeightedGraph& graph);
    void refresh_pushers();

    LayoutOptions options_;
    bool fixed_;
    // Vertices are renumbered into slots, so that those near each other on the map are near each other in
    // memory.
    std::vector<std::int32_t> vertex_of_;  // [n] slot -> vertex
    Matrix places_;                        // [n, dims] by slot
    Matrix others_;   // what edges lead to: places_ after the last epoch, or the fixed map (by its row)
    Matrix pushers_;  // [dims, n_others + some] in random order, the first again at the end
    std::vector<std::int64_t> pusher_of_;  // [n_others] that order
    std::vector<std::int64_t> offsets_;    // [n + 1] edges of a slot
    std::vector<std::int32_t> targets_;    // rows of others_
    std::vector<std::uint32_t> rates_;     // drawn in rate / 2^32 of the epochs
    int epoch_ = 0;
};

/// Advance to the end. Errors: Stopped.
Matrix lay_out(UmapLayout layout, Progress& progress);

}  // namespace tomograph
