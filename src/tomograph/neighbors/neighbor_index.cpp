#include "tomograph/neighbors/neighbors.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "tomograph/base/error.h"
#include "tomograph/base/random.h"
#include "tomograph/base/threads.h"
#include "tomograph/neighbors/exhaustive_search.h"
#include "tomograph/neighbors/neighbor_state.h"

namespace tomograph {
namespace {

constexpr std::int64_t block_rows = neighbor_block_rows;
constexpr int most_passes = 3;

/// Of the index's n others: rough neighbours that are kept until the last comparison in full. Rounding may
/// have swapped some, and passes over neighbours of neighbours reach further with more.
std::int64_t n_kept(std::int64_t k, std::int64_t n) {
    return std::min(2 * k, n);
}

void require_k(int k, std::int64_t most) {
    if (k >= 1 && k <= most) return;
    throw Error(fmt::format("cannot find {} neighbours among {} other rows", k, most), "",
                most >= 1 ? fmt::format("ask for 1 to {}, or select more rows", most) : "select more rows");
}

}  // namespace

std::string NeighborIndex::State::method(int passes) const {
    if (exact) return "exact";
    return fmt::format("lists={} probes={} passes={}", lists.n_lists(), n_probes(), passes);
}

NeighborGraph NeighborIndex::State::search(std::int64_t k, Neighbors& result, Progress& progress) const {
    const std::int64_t n = duplicates.n_distinct();
    const SearchVectors own = search_vectors();
    const auto wanted = [&](const std::vector<std::int64_t>& positions) {
        return Wanted{static_cast<std::int64_t>(positions.size()),
                      [&](std::int64_t i) { return own.vector(positions[i]); },
                      [&](std::int64_t i) { return positions[i]; }};
    };
    std::vector<std::int64_t> all(n);
    std::iota(all.begin(), all.end(), 0);
    if (exact) return search_exhaustively(own, n, wanted(all), k, threads, progress);

    auto graph = search_lists(lists, own, own,
                              {&lists, probes.data(), n_probes(), n_kept(k, n - 1), true, threads}, progress);
    const auto sample = sample_indices(n, options.recall_sample, mix(options.seed, 0x7265));
    const auto truth = search_exhaustively(own, n, wanted(sample), k, threads, no_progress());
    const auto recall = [&] {
        return measure_recall(compare_in_full(own, own, graph, sample, k, threads), truth);
    };
    result.recall = recall();
    for (int pass = 1; pass <= most_passes && result.recall < options.target_recall; ++pass) {
        const double before = result.recall;
        graph = refine(own, add_reverse(graph, threads), threads, progress);
        result.recall = recall();
        result.method = method(pass);
        if (result.recall < before + 0.002) break;  // a high-dimensional cloud: neighbours know no better
    }
    return compare_in_full(own, own, graph, all, k, threads);
}

NeighborIndex::State::Batch NeighborIndex::State::search_batch(const RowSource& rows, std::int64_t begin,
                                                               std::int64_t end, std::int64_t k,
                                                               float* prepared) const {
    const std::int64_t m = end - begin, width = space.width();
    const SearchVectors own = search_vectors();
    std::vector<std::int64_t> all(m);
    std::iota(all.begin(), all.end(), 0);
    if (exact) {
        space.read(rows, begin, end, prepared);
        const Wanted wanted{m, [&](std::int64_t i) { return prepared + i * width; },
                            [](std::int64_t) { return -1; }};
        return {{all.begin(), all.end()},
                search_exhaustively(own, duplicates.n_distinct(), wanted, k, threads, no_progress())};
    }
    const auto sketched = sketch_rows(rows, begin, end, false, prepared);
    Lists grouped = group(centroids.assign(squash_all(sketched, m).get(), m, threads), centroids.n);
    ByteVectors query_bytes;
    if (by_bytes) {
        query_bytes = ByteVectors(m, rows.dim());
        parallel_for((m + block_rows - 1) / block_rows, threads, [&](std::int64_t block) {
            for (auto p = block * block_rows; p < std::min((block + 1) * block_rows, m); ++p)
                query_bytes.set(p, prepared + grouped.order[p] * width, sketch->center());
        });
    }
    const SearchVectors queries{prepared, width, by_bytes ? &query_bytes : nullptr, grouped.order.data()};
    const auto query_probes = find_probes(grouped, sketched);
    const auto rough = search_lists(
        lists, own, queries,
        {&grouped, query_probes.data(), n_probes(), n_kept(k, duplicates.n_distinct()), false, threads},
        no_progress());
    auto graph = compare_in_full(own, queries, rough, all, k, threads);
    return {std::move(grouped.order), std::move(graph)};
}

void NeighborIndex::State::expand(const std::int32_t* positions, const float* squared, std::int64_t n_found,
                                  std::int32_t self, std::uint64_t key, std::int64_t k,
                                  std::vector<std::int32_t>& rows, std::int32_t* out_indices,
                                  float* out_distances) const {
    rows.clear();
    if (self >= 0) choose_members(duplicates, duplicates.distinct_of[self], self, key, k, rows);
    std::fill_n(out_distances, rows.size(), 0.0f);
    for (std::int64_t i = 0; i < n_found && static_cast<std::int64_t>(rows.size()) < k; ++i) {
        if (positions[i] < 0) break;
        const std::size_t before = rows.size();
        choose_members(duplicates, lists.order[positions[i]], -1, key, k - static_cast<std::int64_t>(before),
                       rows);
        std::fill(out_distances + before, out_distances + rows.size(), space.distance(squared[i]));
    }
    std::copy(rows.begin(), rows.end(), out_indices);
    if (static_cast<std::int64_t>(rows.size()) < k) fill_up(rows, self, k, out_indices, out_distances);
}

/// Lists with too few rows around them leave slots empty (tiny data searched approximately): take the
/// first rows that are not there yet, at their true distance or further.
void NeighborIndex::State::fill_up(std::vector<std::int32_t>& rows, std::int32_t self, std::int64_t k,
                                   std::int32_t* out_indices, float* out_distances) const {
    const float last = rows.empty() ? 0.0f : out_distances[rows.size() - 1];
    for (std::int32_t row = 0; static_cast<std::int64_t>(rows.size()) < k; ++row) {
        if (row == self || std::find(rows.begin(), rows.end(), row) != rows.end()) continue;
        out_indices[rows.size()] = row;
        out_distances[rows.size()] = last;
        rows.push_back(row);
    }
}
NeighborIndex::NeighborIndex(const RowSource& rows, const NeighborOptions& options, Progress& progress) {
    if (rows.n_rows() < 2) {
        throw Error(fmt::format("cannot search neighbours among {} rows", rows.n_rows()), "",
                    "select more rows");
    }
    state_ = std::make_unique<State>(rows, options, progress);
}
NeighborIndex::~NeighborIndex() = default;
NeighborIndex::NeighborIndex(NeighborIndex&&) noexcept = default;

std::int64_t NeighborIndex::n_rows() const {
    return static_cast<std::int64_t>(state_->duplicates.distinct_of.size());
}
std::int64_t NeighborIndex::n_distinct() const {
    return state_->duplicates.n_distinct();
}

std::int64_t NeighborIndex::n_lists() const {
    return state_->lists.n_lists();
}

Matrix NeighborIndex::list_centers() const {
    const Centroids& centroids = state_->centroids;
    return MatrixView(centroids.values.data(), centroids.n, centroids.width);
}

std::vector<std::int32_t> NeighborIndex::list_of_rows() const {
    const Lists& lists = state_->lists;
    std::vector<std::int32_t> of_distinct(lists.order.size()), result;
    for (std::int64_t list = 0; list < n_lists(); ++list) {
        for (auto p = lists.offsets[list]; p < lists.offsets[list + 1]; ++p) {
            of_distinct[lists.order[p]] = static_cast<std::int32_t>(list);
        }
    }
    for (const auto distinct : state_->duplicates.distinct_of) result.push_back(of_distinct[distinct]);
    return result;
}

Neighbors NeighborIndex::neighbors(int k, Progress& progress) const {
    const State& s = *state_;
    require_k(k, n_rows() - 1);
    Neighbors result{IndexMatrix(n_rows(), k), Matrix(n_rows(), k), 1.0, s.method(0)};
    NeighborGraph graph;
    if (const auto k_distinct = std::min<std::int64_t>(k, n_distinct() - 1); k_distinct > 0) {
        progress.begin("neighbours", n_distinct(), "rows");
        graph = s.search(k_distinct, result, progress);
        progress.end();
    }
    const auto& order = s.lists.order;
    parallel_for((n_distinct() + block_rows - 1) / block_rows, s.threads, [&](std::int64_t block) {
        std::vector<std::int32_t> rows;
        const std::int64_t end = std::min((block + 1) * block_rows, n_distinct());
        for (std::int64_t p = block * block_rows; p < end; ++p) {
            for (auto m = s.duplicates.first_member[order[p]]; m < s.duplicates.first_member[order[p] + 1];
                 ++m) {
                const auto row = s.duplicates.members[m];
                const auto key = mix(s.options.seed, static_cast<std::uint64_t>(row));
                s.expand(graph.positions.data() + p * graph.k, graph.squared.data() + p * graph.k, graph.k,
                         row, key, k, rows, result.indices.row(row).data(), result.distances.row(row).data());
            }
        }
    });
    return result;
}

Neighbors NeighborIndex::query(const RowSource& queries, int k, Progress& progress) const {
    const State& s = *state_;
    if (queries.dim() != s.space.dim()) {
        throw Error(fmt::format("cannot compare rows of dimension {}", queries.dim()),
                    fmt::format("the indexed rows are of dimension {}", s.space.dim()), "");
    }
    require_k(k, n_rows());
    const std::int64_t n = queries.n_rows(), width = s.space.width();
    const auto k_distinct = std::min<std::int64_t>(k, n_distinct());
    Neighbors result{IndexMatrix(n, k), Matrix(n, k), -1, s.method(0)};
    constexpr std::int64_t batch_rows = 32768;
    const auto prepared = make_float_buffer(std::min(batch_rows, n) * width);
    progress.begin("neighbours of new rows", n, "rows");
    for (std::int64_t begin = 0; begin < n; begin += batch_rows) {
        if (progress.stop_requested()) throw Stopped("the neighbour search is not kept");
        const std::int64_t end = std::min(begin + batch_rows, n);
        const auto [order, graph] = s.search_batch(queries, begin, end, k_distinct, prepared.get());
        std::vector<std::int32_t> rows;
        for (std::int64_t p = 0; p < end - begin; ++p) {
            const std::int64_t row = begin + order[p];
            s.expand(graph.positions.data() + p * graph.k, graph.squared.data() + p * graph.k, graph.k, -1,
                     mix(s.options.seed, static_cast<std::uint64_t>(row)), k, rows,
                     result.indices.row(row).data(), result.distances.row(row).data());
        }
        progress.update(end);
    }
    progress.end();
    return result;
}

Neighbors find_neighbors(const RowSource& rows, int k, const NeighborOptions& options, Progress& progress) {
    return NeighborIndex(rows, options, progress).neighbors(k, progress);
}

}  // namespace tomograph
