#include "tomograph/maps/umap_layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tomograph/base/error.h"
#include "tomograph/base/random.h"
#include "tomograph/base/threads.h"
#include "tomograph/maps/umap_kernel.h"

namespace tomograph {
namespace {

/// A vertex adds up some 13 pulls an epoch from where it stands, where umap-learn walks from one to the next.
/// At full step the sum would throw it past its neighbours and shake apart what the start got right.
constexpr double step_scale = 0.25;

/// Vertices that a thread takes at once.
constexpr std::int64_t block_vertices = 512;
/// Others that may push a block within one epoch: 128 kB in two dimensions.
constexpr std::int64_t window = 16384;

}  // namespace

UmapLayout::UmapLayout(const WeightedGraph& graph, const Matrix& points, const LayoutOptions& options)
    : UmapLayout(graph, points, nullptr, options) {}

UmapLayout::UmapLayout(const WeightedGraph& graph, const Matrix& points, const Matrix& fixed_map,
                       const LayoutOptions& options)
    : UmapLayout(graph, points, &fixed_map, options) {}

UmapLayout::UmapLayout(const WeightedGraph& graph, const Matrix& points, const Matrix* fixed_map,
                       const LayoutOptions& options)
    : options_(options), fixed_(fixed_map != nullptr) {
    options_.threads = thread_count(options.threads);
    if (points.cols() != 2 && points.cols() != 3) {
        throw Error(fmt::format("no map of {} dimensions", points.cols()), "", "ask for 2 or 3");
    }
    number_vertices(graph, points);
    others_ = fixed_map ? *fixed_map : places_;
    collect_edges(graph);
    pusher_of_ = permutation(others_.rows(), mix(options_.seed, 0x7075));
    refresh_pushers();
}

/// Along a curve through the start positions that visits neighbouring cells one after the other (Morton
/// order); in each block of them those with many edges first, so that the lanes of a vector end together.
void UmapLayout::number_vertices(const WeightedGraph& graph, const Matrix& points) {
    const std::int64_t n = points.rows(), dims = points.cols();
    const Eigen::RowVectorXf low = points.colwise().minCoeff(), high = points.colwise().maxCoeff();
    std::vector<std::uint64_t> cells(n, 0);
    std::vector<float> work(n, 0.0f);
    for (std::int64_t i = 0; i < n; ++i) {
        for (std::int64_t d = 0; d < dims; ++d) {
            const float scaled = 1023 * (points(i, d) - low[d]) / std::max(high[d] - low[d], 1e-30f);
            const auto cell = static_cast<std::uint64_t>(std::clamp(scaled, 0.0f, 1023.0f));
            for (int bit = 0; bit < 10; ++bit) cells[i] |= (cell >> bit & 1) << (bit * dims + d);
        }
        for (auto e = graph.offsets[i]; e < graph.offsets[i + 1]; ++e) work[i] += graph.weights[e];
    }
    vertex_of_.resize(n);
    std::iota(vertex_of_.begin(), vertex_of_.end(), 0);
    const auto by = [](const auto& keys) {
        return [&keys](std::int32_t a, std::int32_t b) {
            return keys[a] != keys[b] ? keys[a] < keys[b] : a < b;
        };
    };
    std::sort(vertex_of_.begin(), vertex_of_.end(), by(cells));
    for (std::int64_t begin = 0; begin < n; begin += block_vertices) {
        std::sort(vertex_of_.begin() + begin, vertex_of_.begin() + std::min(begin + block_vertices, n),
                  by(work));
    }
    places_.resize(n, dims);
    for (std::int64_t slot = 0; slot < n; ++slot) places_.row(slot) = points.row(vertex_of_[slot]);
}

void UmapLayout::collect_edges(const WeightedGraph& graph) {
    const std::int64_t n = places_.rows();
    std::vector<std::int32_t> slot_of(fixed_ ? 0 : n);
    for (std::int64_t slot = 0; slot < n && !fixed_; ++slot)
        slot_of[vertex_of_[slot]] = static_cast<std::int32_t>(slot);
    const float largest =
        graph.weights.empty() ? 1.0f : *std::max_element(graph.weights.begin(), graph.weights.end());
    offsets_.reserve(n + 1);
    offsets_.push_back(0);
    targets_.reserve(graph.targets.size());
    rates_.reserve(graph.targets.size());
    for (const auto vertex : vertex_of_) {
        for (auto e = graph.offsets[vertex]; e < graph.offsets[vertex + 1]; ++e) {
            const double rate = static_cast<double>(graph.weights[e]) / largest;
            if (rate * options_.n_epochs < 1)
                continue;  // umap-learn drops edges that would not be drawn once
            targets_.push_back(fixed_ ? graph.targets[e] : slot_of[graph.targets[e]]);
            rates_.push_back(static_cast<std::uint32_t>(std::min(rate * 0x1.0p32, 0xffffffff.0p0)));
        }
        offsets_.push_back(static_cast<std::int64_t>(targets_.size()));
    }
}

/// In random order any run of them is a fair sample, read without a gather. Each block of vertices is pushed,
/// within an epoch, by a window of others that fits the nearest caches, and by another one each time.
void UmapLayout::refresh_pushers() {
    const auto n = static_cast<std::int64_t>(pusher_of_.size());
    const std::int64_t again = std::min(n, window) + umap_run - 1;
    pushers_.resize(others_.cols(), n + again);
    parallel_for((n + block_vertices - 1) / block_vertices, options_.threads, [&](std::int64_t block) {
        for (std::int64_t i = block * block_vertices; i < std::min((block + 1) * block_vertices, n); ++i) {
            pushers_.col(i) = others_.row(pusher_of_[i]);
        }
    });
    for (std::int64_t i = 0; i < again; ++i) pushers_.col(n + i) = pushers_.col(i);
}

void UmapLayout::advance() {
    const std::int64_t n = places_.rows(), dims = places_.cols();
    const auto epoch_key = mix(options_.seed, static_cast<std::uint64_t>(epoch_));
    UmapStep epoch_step{};
    epoch_step.dims = static_cast<int>(dims);
    epoch_step.offsets = offsets_.data();
    epoch_step.targets = targets_.data();
    epoch_step.rates = rates_.data();
    epoch_step.turn = static_cast<std::uint32_t>(epoch_) + 1;
    epoch_step.others = others_.data();
    epoch_step.n_pushers = static_cast<std::int32_t>(std::min(others_.rows(), window));
    epoch_step.a = static_cast<float>(options_.curve.a);
    epoch_step.b = static_cast<float>(options_.curve.b);
    epoch_step.repulsion = static_cast<float>(options_.repulsion_strength);
    epoch_step.alpha = static_cast<float>(step_scale * options_.learning_rate *
                                          (1 - static_cast<double>(epoch_) / options_.n_epochs));
    epoch_step.n_negative = options_.negative_sample_rate;

    parallel_for((n + block_vertices - 1) / block_vertices, options_.threads, [&](std::int64_t block) {
        const auto block_key = mix(epoch_key, static_cast<std::uint64_t>(block));
        UmapStep step = epoch_step;
        const auto start =
            others_.rows() > window
                ? static_cast<std::int64_t>(block_key % static_cast<std::uint64_t>(others_.rows()))
                : 0;
        for (std::int64_t d = 0; d < dims; ++d) step.pushers[d] = &pushers_(d, start);
        const auto first = block * block_vertices, last = std::min(first + block_vertices, n);
        std::int64_t most = 0;
        for (auto slot = first; slot < last; ++slot)
            most = std::max(most, offsets_[slot + 1] - offsets_[slot]);
        std::vector<std::int32_t> drawn(most + 16);
        advance_vertices(step, first, last, block_key, drawn.data(), places_.data());
    });
    if (!fixed_) {
        others_ = places_;
        refresh_pushers();
    }
    ++epoch_;
}

Matrix UmapLayout::points() const {
    Matrix points(places_.rows(), places_.cols());
    for (std::int64_t slot = 0; slot < places_.rows(); ++slot)
        points.row(vertex_of_[slot]) = places_.row(slot);
    return points;
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
