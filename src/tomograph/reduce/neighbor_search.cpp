#include "tomograph/reduce/neighbor_search.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <limits>
#include <numeric>

#include "tomograph/base/error.h"
#include "tomograph/base/matrix.h"
#include "tomograph/base/threads.h"
#include "tomograph/reduce/distances.h"

namespace tomograph {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

/// The best few of what one query has seen, by score, best first. Equal scores keep the order of arrival.
class BestScores {
  public:
    void reset(std::int64_t capacity) {
        scores_.assign(capacity, -infinity);
        ids_.assign(capacity, -1);
    }
    float worst() const { return scores_.back(); }
    void insert(float score, std::int32_t id) {
        std::size_t i = scores_.size() - 1;
        for (; i > 0 && score > scores_[i - 1]; --i) {
            scores_[i] = scores_[i - 1];
            ids_[i] = ids_[i - 1];
        }
        scores_[i] = score;
        ids_[i] = id;
    }
    /// A tile's row of 48 scores for vectors at first_id, first_id + 1, ...
    void offer(const float* scores, const float* half_norms, std::int32_t first_id, std::int32_t skip) {
        for (auto bits = above(scores, half_norms, worst()); bits; bits &= bits - 1) {
            const int j = std::countr_zero(bits);
            const float score = scores[j] - half_norms[j];
            if (score > worst() && first_id + j != skip) insert(score, first_id + j);
        }
    }
    /// Ids found, best first.
    std::int64_t count() const { return std::find(ids_.begin(), ids_.end(), -1) - ids_.begin(); }
    const std::vector<std::int32_t>& ids() const { return ids_; }
    const std::vector<float>& scores() const { return scores_; }

  private:
    std::vector<float> scores_;
    std::vector<std::int32_t> ids_;
};

/// Sort candidates by their distance in full, ties by id, and write the first k.
void keep_nearest(const float* squared, const std::int32_t* ids, std::int64_t n, std::int64_t k,
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
}

void stop_if_asked(const Progress& progress) {
    if (progress.stop_requested()) throw Stopped("the neighbour search is not kept");
}

}  // namespace

NeighborGraph search_lists(const IndexedVectors& index, const GroupedQueries& queries,
                           const SearchOptions& options, Progress& progress) {
    const Lists& query_lists = *queries.lists;
    const auto n_queries = static_cast<std::int64_t>(query_lists.order.size());
    const std::int64_t k = options.k;
    NeighborGraph graph{k, std::vector<std::int32_t>(n_queries * k), std::vector<float>(n_queries * k)};
    std::atomic<std::int64_t> done{0};

    parallel_for(query_lists.n_lists(), options.threads, [&](std::int64_t list) {
        stop_if_asked(progress);
        alignas(64) float tile[tile_size];
        std::vector<BestScores> best(panel_width);
        std::vector<float> squared(options.n_candidates);
        std::vector<std::int32_t> order;
        const bool search_all = queries.probes.empty();
        const std::int64_t n_probes = search_all ? index.lists.n_lists() : queries.n_probes;

        for (std::int64_t p = query_lists.panel_offsets[list]; p < query_lists.panel_offsets[list + 1]; ++p) {
            const std::int64_t first =
                query_lists.offsets[list] + (p - query_lists.panel_offsets[list]) * panel_width;
            const std::int64_t m = std::min(panel_width, query_lists.offsets[list + 1] - first);
            for (auto& scores : best) scores.reset(options.n_candidates);

            for (std::int64_t probe = 0; probe < n_probes; ++probe) {
                const std::int64_t other = search_all ? probe : queries.probes[p * n_probes + probe];
                auto position = static_cast<std::int32_t>(index.lists.offsets[other]);
                for (std::int64_t q = index.lists.panel_offsets[other];
                     q < index.lists.panel_offsets[other + 1]; ++q, position += panel_width) {
                    multiply_panels(queries.sketches->panel(p), index.sketches.panel(q), index.sketches.width,
                                    tile);
                    for (std::int64_t i = 0; i < m; ++i) {
                        const auto self = queries.skip_self ? static_cast<std::int32_t>(first + i) : -1;
                        best[i].offer(tile + i * panel_width, index.sketches.half_norm(q), position, self);
                    }
                }
            }
            for (std::int64_t i = 0; i < m; ++i) {
                const std::int64_t row = queries.by_index ? query_lists.order[first + i] : first + i;
                const std::int64_t n = best[i].count();
                squared_distances(queries.vectors + row * index.width, index.vectors.get(), index.width,
                                  best[i].ids().data(), n, squared.data());
                keep_nearest(squared.data(), best[i].ids().data(), n, k, order,
                             graph.positions.data() + (first + i) * k,
                             graph.squared.data() + (first + i) * k);
            }
        }
        progress.update(done += query_lists.size(list));
    });
    return graph;
}

NeighborGraph refine(const IndexedVectors& index, const NeighborGraph& graph, int threads,
                     Progress& progress) {
    const std::int64_t n = index.n(), k = graph.k;
    NeighborGraph better{k, std::vector<std::int32_t>(n * k), std::vector<float>(n * k)};
    constexpr std::int64_t block_rows = 256;
    parallel_for((n + block_rows - 1) / block_rows, threads, [&](std::int64_t block) {
        stop_if_asked(progress);
        std::vector<std::int32_t> seen, candidates, order;
        std::vector<float> squared;
        // Open addressing in a small table: twice as many slots as there can be candidates.
        const std::size_t slots = std::bit_ceil(static_cast<std::size_t>(2 * (k + 1) * (k + 1)));
        for (std::int64_t row = block * block_rows; row < std::min((block + 1) * block_rows, n); ++row) {
            seen.assign(slots, -1);
            const auto is_new = [&](std::int32_t position) {
                std::size_t slot = static_cast<std::uint32_t>(position) * 2654435769u & (slots - 1);
                while (seen[slot] != -1 && seen[slot] != position) slot = (slot + 1) & (slots - 1);
                if (seen[slot] == position) return false;
                seen[slot] = position;
                return true;
            };
            const std::int32_t* own = graph.positions.data() + row * k;
            is_new(static_cast<std::int32_t>(row));
            candidates.clear();
            for (std::int64_t i = 0; i < k; ++i) {
                if (own[i] >= 0 && is_new(own[i])) candidates.push_back(own[i]);
            }
            const auto n_known = static_cast<std::int64_t>(candidates.size());
            for (std::int64_t i = 0; i < n_known; ++i) {
                const std::int32_t* theirs = graph.positions.data() + candidates[i] * k;
                for (std::int64_t j = 0; j < (k + 1) / 2; ++j) {
                    if (theirs[j] >= 0 && is_new(theirs[j])) candidates.push_back(theirs[j]);
                }
            }
            const auto n_all = static_cast<std::int64_t>(candidates.size());
            squared.resize(n_all);
            std::copy_n(graph.squared.data() + row * k, n_known, squared.data());
            squared_distances(index.vector(row), index.vectors.get(), index.width,
                              candidates.data() + n_known, n_all - n_known, squared.data() + n_known);
            keep_nearest(squared.data(), candidates.data(), n_all, k, order,
                         better.positions.data() + row * k, better.squared.data() + row * k);
        }
    });
    return better;
}

std::vector<float> true_distances(const IndexedVectors& index, const std::vector<std::int64_t>& chosen,
                                  std::int64_t k, int threads) {
    const auto m = static_cast<std::int64_t>(chosen.size());
    const std::int64_t n = index.n(), width = index.width, n_panels = panels_for(m);
    // Everything is centred on one of the vectors' mean: float32 dot products then lose little to
    // cancellation, and a few spare candidates, compared by differences, make up for that.
    Vector center = Vector::Zero(width);
    for (const auto position : chosen) center += Eigen::Map<const Vector>(index.vector(position), width);
    center /= static_cast<float>(m);
    const auto pack_centred = [&](auto position_of, std::int64_t count, float* rows, float* panel,
                                  float* half_norms) {
        for (std::int64_t i = 0; i < count; ++i) {
            Eigen::Map<Vector> row(rows + i * width, width);
            row = Eigen::Map<const Vector>(index.vector(position_of(i)), width) - center;
            if (half_norms) half_norms[i] = 0.5f * row.squaredNorm();
        }
        pack_panel(rows, count, width, width, panel);
    };
    const auto queries = make_float_buffer(n_panels * panel_floats(width));
    {
        const auto rows = make_float_buffer(panel_width * width);
        for (std::int64_t p = 0; p < n_panels; ++p) {
            pack_centred([&](std::int64_t i) { return chosen[p * panel_width + i]; },
                         std::min(panel_width, m - p * panel_width), rows.get(),
                         queries.get() + p * panel_floats(width), nullptr);
        }
    }
    const std::int64_t n_candidates = k + 8;
    constexpr std::int64_t block_rows = 64 * panel_width;
    const std::int64_t n_blocks = (n + block_rows - 1) / block_rows;
    std::vector<std::vector<BestScores>> found(n_blocks);
    parallel_for(n_blocks, threads, [&](std::int64_t block) {
        auto& best = found[block];
        best.resize(m);
        for (auto& scores : best) scores.reset(n_candidates);
        const auto rows = make_float_buffer(panel_width * width);
        const auto panel = make_float_buffer(panel_floats(width));
        alignas(64) float tile[tile_size];
        const std::int64_t end = std::min((block + 1) * block_rows, n);
        for (std::int64_t first = block * block_rows; first < end; first += panel_width) {
            float half_norms[panel_width];
            std::fill_n(half_norms, panel_width, infinity);
            pack_centred([&](std::int64_t i) { return first + i; }, std::min(panel_width, end - first),
                         rows.get(), panel.get(), half_norms);
            for (std::int64_t p = 0; p < n_panels; ++p) {
                multiply_panels(queries.get() + p * panel_floats(width), panel.get(), width, tile);
                for (std::int64_t i = 0; i < std::min(panel_width, m - p * panel_width); ++i) {
                    const std::int64_t query = p * panel_width + i;
                    best[query].offer(tile + i * panel_width, half_norms, static_cast<std::int32_t>(first),
                                      static_cast<std::int32_t>(chosen[query]));
                }
            }
        }
    });
    std::vector<float> truth(m * k, infinity);
    parallel_for(m, threads, [&](std::int64_t query) {
        BestScores best;
        best.reset(n_candidates);
        for (const auto& block : found) {
            const std::int64_t count = block[query].count();
            for (std::int64_t i = 0; i < count && block[query].scores()[i] > best.worst(); ++i) {
                best.insert(block[query].scores()[i], block[query].ids()[i]);
            }
        }
        std::vector<float> squared(n_candidates, infinity);
        squared_distances(index.vector(chosen[query]), index.vectors.get(), width, best.ids().data(),
                          best.count(), squared.data());
        std::partial_sort_copy(squared.begin(), squared.end(), truth.begin() + query * k,
                               truth.begin() + (query + 1) * k);
    });
    return truth;
}

double measure_recall(const NeighborGraph& graph, const std::vector<std::int64_t>& chosen,
                      const std::vector<float>& truth) {
    const auto k = static_cast<std::int64_t>(truth.size() / chosen.size());
    std::int64_t found = 0;
    for (std::size_t query = 0; query < chosen.size(); ++query) {
        const float limit = truth[query * k + k - 1] * (1 + 1e-5f) + 1e-30f;
        const float* squared = graph.squared.data() + chosen[query] * graph.k;
        found += std::count_if(squared, squared + k, [&](float value) { return value <= limit; });
    }
    return static_cast<double>(found) / static_cast<double>(chosen.size() * k);
}

}  // namespace tomograph
