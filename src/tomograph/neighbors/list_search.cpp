#include "tomograph/neighbors/list_search.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <limits>
#include <numeric>

#include "tomograph/base/error.h"
#include "tomograph/base/threads.h"
#include "tomograph/neighbors/best_scores.h"

namespace tomograph {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();
constexpr float nothing[panel_width] = {};
constexpr std::int64_t block_rows = 256;

/// Sort candidates by distance, ties by id, and write the first k; `order` then begins with their places.
/// Returns how many there were.
std::int64_t keep_nearest(const float* squared, const std::int32_t* ids, std::int64_t n, std::int64_t k,
                          std::vector<std::int32_t>& order, std::int32_t* out_ids, float* out_squared) {
    order.resize(n);
    std::iota(order.begin(), order.end(), 0);
    const std::int64_t kept = std::min(k, n);
    std::partial_sort(order.begin(), order.begin() + kept, order.end(), [&](std::int32_t a, std::int32_t b) {
        return squared[a] != squared[b] ? squared[a] < squared[b] : ids[a] < ids[b];
    });
    for (std::int64_t i = 0; i < kept; ++i) {
        out_ids[i] = ids[order[i]];
        out_squared[i] = squared[order[i]];
    }
    std::fill(out_ids + kept, out_ids + k, -1);
    std::fill(out_squared + kept, out_squared + k, infinity);
    return kept;
}

void stop_if_asked(const Progress& progress) {
    if (progress.stop_requested()) throw Stopped("the neighbour search is not kept");
}

/// out[i * stride + j] = -1/2 |query first_query + i - vector first + j|^2, roughly.
void score_tile(const SearchVectors& vectors, const SearchVectors& queries, std::int64_t first_query,
                std::int64_t n_queries, std::int64_t first, std::int64_t n, std::int64_t stride, float* out) {
    if (vectors.bytes) {
        vectors.bytes->score_tile(*queries.bytes, first_query, n_queries, first, n, stride, out);
        return;
    }
    std::int32_t ids[2 * panel_width];
    std::iota(ids, ids + n, static_cast<std::int32_t>(first));
    for (std::int64_t i = 0; i < n_queries; ++i, out += stride) {
        squared_distances(queries.vector(first_query + i), vectors.values, vectors.width, ids, n, out);
        for (std::int64_t j = 0; j < n; ++j) out[j] *= -0.5f;
    }
}

void rough_squared(const SearchVectors& vectors, std::int64_t row, const std::int32_t* ids, std::int64_t n,
                   float* out) {
    if (!vectors.bytes) {
        squared_distances(vectors.vector(row), vectors.values, vectors.width, ids, n, out);
        return;
    }
    vectors.bytes->score_ids(*vectors.bytes, row, ids, n, out);
    for (std::int64_t i = 0; i < n; ++i) out[i] *= -2;
}

/// A set of positions, emptied in no time: open addressing, each slot marked with the turn that filled it.
class PositionSet {
  public:
    explicit PositionSet(std::size_t most) : slots_(std::bit_ceil(2 * most), {0, -1}) {}
    void clear() { ++turn_; }
    /// Whether it was not there.
    bool insert(std::int32_t position) {
        std::size_t slot = (static_cast<std::uint32_t>(position) * 2654435769u >> 8) & (slots_.size() - 1);
        while (slots_[slot].turn == turn_) {
            if (slots_[slot].position == position) return false;
            slot = (slot + 1) & (slots_.size() - 1);
        }
        slots_[slot] = {turn_, position};
        return true;
    }

  private:
    struct Slot {
        std::uint32_t turn;
        std::int32_t position;
    };
    std::vector<Slot> slots_;
    std::uint32_t turn_ = 1;
};

}  // namespace

NeighborGraph search_lists(const Lists& lists, const SearchVectors& vectors, const SearchVectors& queries,
                           const ListSearch& search, Progress& progress) {
    const auto n_queries = static_cast<std::int64_t>(search.lists->order.size());
    const std::int64_t k = search.k;
    NeighborGraph graph{k, std::vector<std::int32_t>(n_queries * k), std::vector<float>(n_queries * k), {}};
    std::atomic<std::int64_t> done{0};

    parallel_for(search.lists->n_lists(), search.threads, [&](std::int64_t list) {
        stop_if_asked(progress);
        constexpr std::int64_t stride = 2 * panel_width;
        alignas(64) float tile[bundle_size * stride] = {};
        std::vector<BestScores> best(bundle_size);
        for (std::int64_t b = search.lists->bundles[list]; b < search.lists->bundles[list + 1]; ++b) {
            const auto [begin, end] = search.lists->bundle(list, b);
            for (auto& scores : best) scores.reset(k);
            for (std::int64_t probe = 0; probe < search.n_probes; ++probe) {
                const std::int64_t other = search.probes[b * search.n_probes + probe];
                const std::int64_t other_end = lists.offsets[other + 1];
                for (std::int64_t first = lists.offsets[other]; first < other_end; first += stride) {
                    const std::int64_t n = std::min(stride, other_end - first);
                    score_tile(vectors, queries, begin, end - begin, first, n, stride, tile);
                    for (std::int64_t i = 0; i < end - begin; ++i) {
                        const auto self = search.skip_self ? static_cast<std::int32_t>(begin + i) : -1;
                        for (std::int64_t j = 0; j < n; j += panel_width) {
                            best[i].offer(tile + i * stride + j, nothing, n - j,
                                          static_cast<std::int32_t>(first + j), self);
                        }
                    }
                }
            }
            for (std::int64_t i = 0; i < end - begin; ++i) {
                std::copy_n(best[i].ids().begin(), k, graph.positions.begin() + (begin + i) * k);
                std::transform(best[i].scores().begin(), best[i].scores().end(),
                               graph.squared.begin() + (begin + i) * k,
                               [](float score) { return -2 * score; });
            }
        }
        progress.update(done += search.lists->size(list));
    });
    return graph;
}

NeighborGraph add_reverse(const NeighborGraph& graph, int threads) {
    const std::int64_t k = graph.k, n = static_cast<std::int64_t>(graph.positions.size()) / k;
    // Who lists a row nearer than the farthest that it lists itself, row by row.
    const auto is_news = [&](std::int64_t edge) {
        const std::int32_t target = graph.positions[edge];
        return target >= 0 && graph.squared[edge] < graph.squared[target * k + k - 1];
    };
    std::vector<std::int64_t> offsets(n + 1, 0);
    for (std::int64_t edge = 0; edge < n * k; ++edge) {
        if (is_news(edge)) ++offsets[graph.positions[edge] + 1];
    }
    std::partial_sum(offsets.begin(), offsets.end(), offsets.begin());
    std::vector<std::int32_t> sources(offsets.back());
    for (std::int64_t edge = 0; edge < n * k; ++edge) {  // offsets then end each row instead of beginning it
        if (is_news(edge)) sources[offsets[graph.positions[edge]]++] = static_cast<std::int32_t>(edge / k);
    }
    NeighborGraph better{k, std::vector<std::int32_t>(n * k), std::vector<float>(n * k),
                         std::vector<std::uint8_t>(n * k)};
    parallel_for((n + block_rows - 1) / block_rows, threads, [&](std::int64_t block) {
        std::vector<std::int32_t> ids, order;
        std::vector<float> squared;
        for (std::int64_t row = block * block_rows; row < std::min((block + 1) * block_rows, n); ++row) {
            const std::int32_t* own = graph.positions.data() + row * k;
            ids.assign(own, std::find(own, own + k, -1));
            squared.assign(graph.squared.begin() + row * k,
                           graph.squared.begin() + row * k + static_cast<std::int64_t>(ids.size()));
            const auto n_own = static_cast<std::int64_t>(ids.size());
            for (auto e = row > 0 ? offsets[row - 1] : 0; e < offsets[row]; ++e) {
                const std::int32_t source = sources[e];
                if (std::find(ids.begin(), ids.begin() + n_own, source) != ids.begin() + n_own) continue;
                const auto theirs = graph.positions.begin() + static_cast<std::int64_t>(source) * k;
                const auto place = std::find(theirs, theirs + k, static_cast<std::int32_t>(row)) - theirs;
                ids.push_back(source);
                squared.push_back(graph.squared[static_cast<std::int64_t>(source) * k + place]);
            }
            const auto kept =
                keep_nearest(squared.data(), ids.data(), static_cast<std::int64_t>(ids.size()), k, order,
                             better.positions.data() + row * k, better.squared.data() + row * k);
            for (std::int64_t i = 0; i < kept; ++i) {
                better.is_new[row * k + i] =
                    order[i] >= n_own || graph.is_new.empty() || graph.is_new[row * k + order[i]];
            }
        }
    });
    return better;
}

NeighborGraph refine(const SearchVectors& vectors, const NeighborGraph& graph, int threads,
                     Progress& progress) {
    const std::int64_t k = graph.k, n = static_cast<std::int64_t>(graph.positions.size()) / k;
    NeighborGraph better{k, std::vector<std::int32_t>(n * k), std::vector<float>(n * k),
                         std::vector<std::uint8_t>(n * k)};
    const auto is_new = [&](std::int64_t edge) { return graph.is_new.empty() || graph.is_new[edge]; };
    parallel_for((n + block_rows - 1) / block_rows, threads, [&](std::int64_t block) {
        stop_if_asked(progress);
        std::vector<std::int32_t> candidates, order;
        std::vector<float> squared;
        PositionSet seen(static_cast<std::size_t>((k + 1) * (k + 1) / 2 + k + 1));
        for (std::int64_t row = block * block_rows; row < std::min((block + 1) * block_rows, n); ++row) {
            const std::int32_t* own = graph.positions.data() + row * k;
            seen.clear();
            seen.insert(static_cast<std::int32_t>(row));
            candidates.clear();
            for (std::int64_t i = 0; i < k; ++i) {
                if (own[i] >= 0 && seen.insert(own[i])) candidates.push_back(own[i]);
            }
            const auto n_known = static_cast<std::int64_t>(candidates.size());
            for (std::int64_t i = 0; i < n_known; ++i) {
                // A way of two old steps was looked at in an earlier pass.
                const bool any = is_new(row * k + i);
                const std::int64_t theirs = static_cast<std::int64_t>(candidates[i]) * k;
                for (std::int64_t edge = theirs; edge < theirs + (k + 1) / 2; ++edge) {
                    if (!any && !is_new(edge)) continue;
                    const std::int32_t other = graph.positions[edge];
                    if (other >= 0 && seen.insert(other)) candidates.push_back(other);
                }
            }
            const auto n_all = static_cast<std::int64_t>(candidates.size());
            squared.resize(n_all);
            std::copy_n(graph.squared.data() + row * k, n_known, squared.data());
            rough_squared(vectors, row, candidates.data() + n_known, n_all - n_known,
                          squared.data() + n_known);
            const auto kept =
                keep_nearest(squared.data(), candidates.data(), n_all, k, order,
                             better.positions.data() + row * k, better.squared.data() + row * k);
            for (std::int64_t i = 0; i < kept; ++i) better.is_new[row * k + i] = order[i] >= n_known;
        }
    });
    return better;
}

void keep_nearest_in_full(const SearchVectors& vectors, const float* query, const std::int32_t* candidates,
                          std::int64_t n, std::int64_t k, std::int32_t* positions, float* squared) {
    std::vector<float> distances(n);
    std::vector<std::int32_t> order;
    squared_distances(query, vectors.values, vectors.width, candidates, n, distances.data());
    keep_nearest(distances.data(), candidates, n, k, order, positions, squared);
}

NeighborGraph compare_in_full(const SearchVectors& vectors, const SearchVectors& queries,
                              const NeighborGraph& graph, const std::vector<std::int64_t>& rows,
                              std::int64_t k, int threads) {
    const auto n = static_cast<std::int64_t>(rows.size());
    NeighborGraph result{k, std::vector<std::int32_t>(n * k), std::vector<float>(n * k), {}};
    parallel_for((n + block_rows - 1) / block_rows, threads, [&](std::int64_t block) {
        for (std::int64_t i = block * block_rows; i < std::min((block + 1) * block_rows, n); ++i) {
            const std::int32_t* ids = graph.positions.data() + rows[i] * graph.k;
            const std::int64_t count = std::find(ids, ids + graph.k, -1) - ids;
            keep_nearest_in_full(vectors, queries.vector(rows[i]), ids, count, k,
                                 result.positions.data() + i * k, result.squared.data() + i * k);
        }
    });
    return result;
}

}  // namespace tomograph
