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

/// A vertex adds up some 13 pulls an epoch from where it stands, where umap-learn walks from one to the next.
/// At full step the sum would throw it past its neighbours and shake apart what the start got right.
constexpr double step_scale = 0.25;

/// Bundles of 32 vertices that a thread takes at once.
constexpr std::int64_t block_bundles = 16;

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
    others_ = fixed_map ? *fixed_map : points_;

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
    step.others = others_.data();
    step.n_others = others_.rows();
    step.a = static_cast<float>(options_.curve.a);
    step.b = static_cast<float>(options_.curve.b);
    step.repulsion = static_cast<float>(options_.repulsion_strength);
    step.alpha = static_cast<float>(step_scale * options_.learning_rate *
                                    (1 - static_cast<double>(epoch_) / options_.n_epochs));
    step.n_negative = options_.negative_sample_rate;
    step.skip_self = !fixed_;
    const auto turn = static_cast<std::uint32_t>(epoch_) + 1;
    const auto epoch_key = mix(options_.seed, static_cast<std::uint64_t>(epoch_));

    parallel_for((n_bundles + block_bundles - 1) / block_bundles, options_.threads, [&](std::int64_t block) {
        std::vector<std::int32_t>
            drawn;  // [32][stride]; slots of lanes that end early hold older, valid targets
        alignas(64) std::int32_t counts[umap_lanes], vertex[umap_lanes];
        alignas(64) std::uint32_t random[umap_lanes];
        alignas(64) float position[3 * umap_lanes];
        const std::int64_t end = std::min((block + 1) * block_bundles, n_bundles);
        for (std::int64_t bundle = block * block_bundles; bundle < end; ++bundle) {
            const std::int64_t first = bundle * umap_lanes, last = std::min(first + umap_lanes, n);
            std::int64_t stride = 0;
            for (auto slot = first; slot < last; ++slot)
                stride = std::max(stride, offsets_[slot + 1] - offsets_[slot]);
            stride += 16;
            if (drawn.size() < static_cast<std::size_t>(umap_lanes * stride))
                drawn.resize(umap_lanes * stride, 0);
            for (int lane = 0; lane < umap_lanes; ++lane) {
                const std::int64_t slot = std::min(first + lane, n - 1);  // idle lanes draw no edge
                const auto begin = offsets_[slot];
                vertex[lane] = order_[slot];
                random[lane] =
                    static_cast<std::uint32_t>(mix(epoch_key, static_cast<std::uint64_t>(vertex[lane])));
                for (std::int64_t d = 0; d < dims; ++d)
                    position[d * umap_lanes + lane] = points_(vertex[lane], d);
                counts[lane] =
                    first + lane < n
                        ? draw_edges(vertex[lane], targets_.data() + begin, rates_.data() + begin,
                                     offsets_[slot + 1] - begin, turn, drawn.data() + lane * stride)
                        : 0;
            }
            advance_vertices(step, drawn.data(), static_cast<std::int32_t>(stride), counts, vertex, random,
                             position);
            for (std::int64_t slot = first; slot < last; ++slot) {
                for (std::int64_t d = 0; d < dims; ++d) {
                    points_(order_[slot], d) = position[d * umap_lanes + (slot - first)];
                }
            }
        }
    });
    if (!fixed_) others_ = points_;
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
