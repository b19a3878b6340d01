#include "tomograph/reduce/umap_layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "tomograph/base/error.h"
#include "tomograph/base/random.h"
#include "tomograph/base/threads.h"
#include "tomograph/reduce/umap_kernel.h"

namespace tomograph {
namespace {

/// Bundles of 16 vertices that a thread takes at once.
constexpr std::int64_t block_bundles = 32;

/// Edges of one bundle drawn in this epoch, transposed for advance_vertices.
class DrawnEdges {
  public:
    void reset(std::int64_t most_edges) {
        std::fill_n(counts_, umap_lanes, 0);
        if (targets_.size() < static_cast<std::size_t>(most_edges * umap_lanes)) {
            targets_.resize(most_edges * umap_lanes, 0);
        }
    }
    /// Written always and kept when drawn: whether it is cannot be foretold, so a branch would cost more.
    void offer(int lane, std::int32_t target, bool drawn) {
        targets_[counts_[lane] * umap_lanes + lane] = target;
        counts_[lane] += drawn;
    }
    const std::int32_t* counts() const { return counts_; }
    std::int32_t n_steps() const { return *std::max_element(counts_, counts_ + umap_lanes); }
    const std::int32_t* targets() const { return targets_.data(); }

  private:
    alignas(64) std::int32_t counts_[umap_lanes];
    std::vector<std::int32_t> targets_;  // slots of lanes that ended early hold some older, valid target
};

}  // namespace

UmapLayout::UmapLayout(const WeightedGraph& graph, Matrix points, const LayoutOptions& options)
    : UmapLayout(graph, std::move(points), nullptr, options) {}

UmapLayout::UmapLayout(const WeightedGraph& graph, Matrix points, const Matrix& fixed_map,
                       const LayoutOptions& options)
    : UmapLayout(graph, std::move(points), &fixed_map, options) {}

UmapLayout::UmapLayout(const WeightedGraph& graph, Matrix points, const Matrix* fixed_map,
                       const LayoutOptions& options)
    : options_(options), points_(std::move(points)), fixed_(fixed_map != nullptr) {
    options_.threads = thread_count(options.threads);
    const std::int64_t n = points_.rows(), dims = points_.cols();
    if (dims != 2 && dims != 3) {
        throw Error(fmt::format("no map of {} dimensions", dims), "", "ask for 2 or 3");
    }
    const Matrix& others = fixed_map ? *fixed_map : points_;
    n_others_ = others.rows();
    others_.resize(dims * n_others_);
    Eigen::Map<Matrix>(others_.data(), dims, n_others_) = others.transpose();

    const float largest =
        graph.weights.empty() ? 1.0f : *std::max_element(graph.weights.begin(), graph.weights.end());
    const auto rate = [&](float weight) { return static_cast<double>(weight) / largest; };
    // umap-learn drops edges that would not be drawn once.
    const auto is_kept = [&](float weight) { return rate(weight) * options_.n_epochs >= 1; };
    std::vector<float> work(n, 0.0f);
    for (std::int64_t i = 0; i < n; ++i) {
        for (auto e = graph.offsets[i]; e < graph.offsets[i + 1]; ++e) {
            if (is_kept(graph.weights[e])) work[i] += static_cast<float>(rate(graph.weights[e]));
        }
    }
    order_.resize(n);
    std::iota(order_.begin(), order_.end(), 0);
    std::stable_sort(order_.begin(), order_.end(),
                     [&](std::int32_t a, std::int32_t b) { return work[a] > work[b]; });
    offsets_.reserve(n + 1);
    offsets_.push_back(0);
    targets_.reserve(graph.targets.size());
    rates_.reserve(graph.targets.size());
    for (const auto vertex : order_) {
        for (auto e = graph.offsets[vertex]; e < graph.offsets[vertex + 1]; ++e) {
            if (!is_kept(graph.weights[e])) continue;
            targets_.push_back(graph.targets[e]);
            rates_.push_back(
                static_cast<std::uint32_t>(std::min(rate(graph.weights[e]) * 0x1.0p32, 0xffffffff.0p0)));
        }
        offsets_.push_back(static_cast<std::int64_t>(targets_.size()));
    }
}

void UmapLayout::advance() {
    const std::int64_t n = points_.rows(), dims = points_.cols();
    const std::int64_t n_bundles = (n + umap_lanes - 1) / umap_lanes;
    UmapStep step{};
    step.dims = static_cast<int>(dims);
    for (std::int64_t d = 0; d < dims; ++d) step.others[d] = others_.data() + d * n_others_;
    step.n_others = n_others_;
    step.a = static_cast<float>(options_.curve.a);
    step.b = static_cast<float>(options_.curve.b);
    step.repulsion = static_cast<float>(options_.repulsion_strength);
    step.alpha =
        static_cast<float>(options_.learning_rate * (1 - static_cast<double>(epoch_) / options_.n_epochs));
    step.n_negative = options_.negative_sample_rate;
    step.skip_self = !fixed_;
    const auto turn = static_cast<std::uint32_t>(epoch_) + 1;
    const auto epoch_key = mix(options_.seed, static_cast<std::uint64_t>(epoch_));

    parallel_for((n_bundles + block_bundles - 1) / block_bundles, options_.threads, [&](std::int64_t block) {
        DrawnEdges drawn;
        alignas(64) float position[3 * umap_lanes];
        alignas(64) std::int32_t vertex[umap_lanes];
        alignas(64) std::uint32_t random[umap_lanes];
        const std::int64_t end = std::min((block + 1) * block_bundles, n_bundles);
        for (std::int64_t bundle = block * block_bundles; bundle < end; ++bundle) {
            std::int64_t most_edges = 1;
            for (std::int64_t slot = bundle * umap_lanes; slot < std::min((bundle + 1) * umap_lanes, n);
                 ++slot) {
                most_edges = std::max(most_edges, offsets_[slot + 1] - offsets_[slot]);
            }
            drawn.reset(most_edges);
            for (int lane = 0; lane < umap_lanes; ++lane) {
                const std::int64_t slot = bundle * umap_lanes + lane;
                const std::int32_t id = slot < n ? order_[slot] : order_[0];  // idle lanes draw no edge
                vertex[lane] = id;
                random[lane] = static_cast<std::uint32_t>(mix(epoch_key, static_cast<std::uint64_t>(id)));
                for (std::int64_t d = 0; d < dims; ++d) position[d * umap_lanes + lane] = points_(id, d);
                if (slot >= n) continue;
                for (auto e = offsets_[slot]; e < offsets_[slot + 1]; ++e) {
                    // A counter that gains `rate` each epoch overflows in rate / 2^32 of them. Its start is
                    // the same from both ends of the edge, so both ends draw it together.
                    const std::uint32_t start = static_cast<std::uint32_t>(id + targets_[e]) * 2654435769u;
                    drawn.offer(lane, targets_[e], start + rates_[e] * turn < rates_[e]);
                }
            }
            advance_vertices(step, drawn.targets(), drawn.counts(), drawn.n_steps(), vertex, random,
                             position);
            for (int lane = 0; lane < umap_lanes && bundle * umap_lanes + lane < n; ++lane) {
                for (std::int64_t d = 0; d < dims; ++d)
                    points_(vertex[lane], d) = position[d * umap_lanes + lane];
            }
        }
    });
    if (!fixed_) Eigen::Map<Matrix>(others_.data(), dims, n) = points_.transpose();
    ++epoch_;
}

Matrix lay_out(UmapLayout layout, Progress& progress) {
    while (!layout.done()) {
        if (progress.stop_requested()) throw Stopped("the map is not kept");
        layout.advance();
        progress.update(layout.epoch());
    }
    return layout.points();
}

}  // namespace tomograph
