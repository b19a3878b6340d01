#include "tomograph/neighbors/neighbor_index.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "tomograph/base/counted.h"
#include "tomograph/base/error.h"
#include "tomograph/base/random.h"
#include "tomograph/base/threads.h"
#include "tomograph/neighbors/exhaustive_search.h"

namespace tomograph {
namespace {

constexpr std::int64_t block_rows = 768;
constexpr int most_passes = 3;
/// Multiply-adds of an exact search that are not worth avoiding.
constexpr double exact_work = 1.5e11;

bool search_exactly(const NeighborOptions& options, std::int64_t n, std::int64_t width) {
    if (options.search != NeighborOptions::Search::automatic) {
        return options.search == NeighborOptions::Search::exact;
    }
    return n <= 400 || static_cast<double>(n) * static_cast<double>(n * width) <= exact_work;
}

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

/// Row numbers are int32 from here on.
const RowSource& searchable(const RowSource& rows) {
    if (rows.n_rows() < 2) {
        throw Error("cannot search neighbours among " + counted(rows.n_rows(), "row"), "",
                    "select more rows");
    }
    if (rows.n_rows() > std::numeric_limits<std::int32_t>::max()) {
        throw Error("cannot search neighbours among " + counted(rows.n_rows(), "row"),
                    "row numbers end at 2147483647", "select fewer rows");
    }
    return rows;
}

std::vector<std::int64_t> count_up(std::int64_t n) {
    std::vector<std::int64_t> numbers(n);
    std::iota(numbers.begin(), numbers.end(), 0);
    return numbers;
}

/// Where each row is stored: those of list order, which numbers distinct rows; -1: equal to an earlier row.
std::vector<std::int32_t> positions_of_rows(const Duplicates& duplicates, const Lists& lists) {
    std::vector<std::int32_t> positions(duplicates.distinct_of.size(), -1);
    for (std::size_t p = 0; p < lists.order.size(); ++p) {
        positions[duplicates.representative(lists.order[p])] = static_cast<std::int32_t>(p);
    }
    return positions;
}

}  // namespace

NeighborIndex::NeighborIndex(const RowSource& rows, const NeighborOptions& options, Progress& progress)
    : options_(options),
      threads_(thread_count(options.threads)),
      space_(options.metric, searchable(rows).dim()),
      exact_(search_exactly(options, rows.n_rows(), space_.width())),
      partition_(rows, space_, options.seed, threads_) {
    const std::int64_t n = rows.n_rows();
    progress.begin("indexing", 2 * n, "rows");
    {
        auto sketched = partition_.sketch(rows, 0, n, true, nullptr);
        duplicates_ = group_duplicates(sketched.hashes);
        sketched.keep_distinct(partition_.sketch_width(), duplicates_);
        progress.update(n);
        const Lists& lists = partition_.fit(sketched, n_distinct());
        if (!exact_) probes_ = partition_.probes(lists, sketched, options.rows_compared);
    }
    // A second reading instead of a second copy in memory.
    vectors_ = StoredVectors(space_, n_distinct(), exact_ ? nullptr : &partition_.center());
    vectors_.add(rows, positions_of_rows(duplicates_, partition_.lists()), threads_);
    vectors_.drop_coarse_bytes(options.seed);
    progress.end();
}

Matrix NeighborIndex::list_centers() const {
    const Centroids& centroids = partition_.centroids();
    return MatrixView(centroids.values.data(), centroids.n, centroids.width);
}

std::vector<std::int32_t> NeighborIndex::list_of_rows() const {
    const Lists& lists = partition_.lists();
    std::vector<std::int32_t> of_distinct(lists.order.size()), result;
    for (std::int64_t list = 0; list < n_lists(); ++list) {
        for (auto p = lists.offsets[list]; p < lists.offsets[list + 1]; ++p) {
            of_distinct[lists.order[p]] = static_cast<std::int32_t>(list);
        }
    }
    for (const auto distinct : duplicates_.distinct_of) result.push_back(of_distinct[distinct]);
    return result;
}

std::string NeighborIndex::method(int passes) const {
    if (exact_) return "exact";
    return fmt::format("lists={} probes={} passes={}", n_lists(), partition_.n_probes(options_.rows_compared),
                       passes);
}

Neighbors NeighborIndex::neighbors(int k, Progress& progress) const {
    require_k(k, n_rows() - 1);
    Found found{{}, 1.0, 0};
    if (const auto k_distinct = std::min<std::int64_t>(k, n_distinct() - 1); k_distinct > 0) {
        progress.begin("neighbours", n_distinct(), "rows");
        found = search_positions(k_distinct, progress);
        progress.end();
    }
    Neighbors result{IndexMatrix(n_rows(), k), Matrix(n_rows(), k), found.recall, method(found.passes)};
    const auto& order = partition_.lists().order;
    const SearchVectors own = vectors_.view();
    parallel_for((n_distinct() + block_rows - 1) / block_rows, threads_, [&](std::int64_t block) {
        const std::int64_t end = std::min((block + 1) * block_rows, n_distinct());
        for (std::int64_t p = block * block_rows; p < end; ++p) {
            for (const auto row : duplicates_.group(order[p])) {
                const Asker asker{own.vector(p), row, p, mix(options_.seed, static_cast<std::uint64_t>(row))};
                expand(asker, found.graph, p, result.indices.row(row).data(),
                       result.distances.row(row).data(), k);
            }
        }
    });
    return result;
}

NeighborIndex::Found NeighborIndex::search_positions(std::int64_t k, Progress& progress) const {
    if (!exact_) return search_lists_and_refine(k, progress);
    return {search_all_pairs(vectors_.view(), n_distinct(), k, threads_, progress), 1.0, 0};
}

NeighborIndex::Found NeighborIndex::search_lists_and_refine(std::int64_t k, Progress& progress) const {
    const std::int64_t n = n_distinct();
    const SearchVectors own = vectors_.view();
    const Lists& lists = partition_.lists();
    auto graph = search_lists(lists, own, own,
                              {&lists, probes_.data(), partition_.n_probes(options_.rows_compared),
                               n_kept(k, n - 1), true, threads_},
                              progress);
    const auto sample = sample_indices(n, options_.recall_sample, mix(options_.seed, 0x7265));
    const Wanted wanted{static_cast<std::int64_t>(sample.size()),
                        [&](std::int64_t i) { return own.vector(sample[i]); },
                        [&](std::int64_t i) { return sample[i]; }};
    const auto truth = search_exhaustively(own, n, wanted, k, threads_, no_progress());
    const auto recall = [&] {
        return measure_recall(compare_in_full(own, own, graph, sample, k, threads_), truth);
    };
    Found found{{}, recall(), 0};
    while (found.passes < most_passes && found.recall < options_.target_recall) {
        const double before = found.recall;
        graph = refine(own, add_reverse(graph, threads_), threads_, progress);
        found.recall = recall();
        ++found.passes;
        if (found.recall < before + 0.002) break;  // a high-dimensional cloud: neighbours know no better
    }
    found.graph = compare_in_full(own, own, graph, count_up(n), k, threads_);
    return found;
}

Neighbors NeighborIndex::query(const RowSource& queries, int k, Progress& progress) const {
    if (queries.dim() != space_.dim()) {
        throw Error(fmt::format("cannot compare rows of dimension {}", queries.dim()),
                    fmt::format("the indexed rows are of dimension {}", space_.dim()), "");
    }
    require_k(k, n_rows());
    const std::int64_t n = queries.n_rows(), width = space_.width();
    const auto k_distinct = std::min<std::int64_t>(k, n_distinct());
    Neighbors result{IndexMatrix(n, k), Matrix(n, k), -1, method(0)};
    constexpr std::int64_t batch_rows = 32768;
    const auto prepared = make_float_buffer(std::min(batch_rows, n) * width);
    progress.begin("neighbours of new rows", n, "rows");
    for (std::int64_t begin = 0; begin < n; begin += batch_rows) {
        if (progress.stop_requested()) throw Stopped("the neighbour search is not kept");
        const std::int64_t end = std::min(begin + batch_rows, n);
        const auto [order, graph] = search_batch(queries, begin, end, k_distinct, prepared.get());
        for (std::int64_t i = 0; i < end - begin; ++i) {
            const std::int64_t row = begin + order[i];
            const Asker asker{prepared.get() + order[i] * width, -1, -1,
                              mix(options_.seed, static_cast<std::uint64_t>(row))};
            expand(asker, graph, i, result.indices.row(row).data(), result.distances.row(row).data(), k);
        }
        progress.update(end);
    }
    progress.end();
    return result;
}

NeighborIndex::Batch NeighborIndex::search_batch(const RowSource& rows, std::int64_t begin, std::int64_t end,
                                                 std::int64_t k, float* prepared) const {
    const std::int64_t m = end - begin, width = space_.width();
    const SearchVectors own = vectors_.view();
    if (exact_) {
        space_.read(rows, begin, end, prepared);
        const Wanted wanted{m, [&](std::int64_t i) { return prepared + i * width; },
                            [](std::int64_t) { return -1; }};
        std::vector<std::int32_t> order(m);
        std::iota(order.begin(), order.end(), 0);
        return {std::move(order), search_exhaustively(own, n_distinct(), wanted, k, threads_, no_progress())};
    }
    const auto sketched = partition_.sketch(rows, begin, end, false, prepared);
    Lists grouped = partition_.assign(sketched, m);
    ByteVectors bytes;
    if (vectors_.by_bytes()) {
        bytes = ByteVectors(m, space_.dim());
        parallel_for((m + block_rows - 1) / block_rows, threads_, [&](std::int64_t block) {
            for (auto p = block * block_rows; p < std::min((block + 1) * block_rows, m); ++p)
                bytes.set(p, prepared + grouped.order[p] * width, partition_.center());
        });
    }
    const SearchVectors queries{prepared, width, vectors_.by_bytes() ? &bytes : nullptr,
                                grouped.order.data()};
    const auto probes = partition_.probes(grouped, sketched, options_.rows_compared);
    const auto rough = search_lists(partition_.lists(), own, queries,
                                    {&grouped, probes.data(), partition_.n_probes(options_.rows_compared),
                                     n_kept(k, n_distinct()), false, threads_},
                                    no_progress());
    auto graph = compare_in_full(own, queries, rough, count_up(m), k, threads_);
    return {std::move(grouped.order), std::move(graph)};
}

void NeighborIndex::expand(const Asker& asker, const NeighborGraph& graph, std::int64_t of,
                           std::int32_t* out_indices, float* out_distances, std::int64_t k) const {
    std::vector<std::int32_t> rows;
    const auto take = [&](const std::int32_t* positions, const float* squared, std::int64_t n) {
        rows.clear();
        if (asker.row >= 0)
            choose_members(duplicates_, duplicates_.distinct_of[asker.row], asker.row, asker.key, k, rows);
        std::fill_n(out_distances, rows.size(), 0.0f);
        for (std::int64_t i = 0; i < n && static_cast<std::int64_t>(rows.size()) < k; ++i) {
            if (positions[i] < 0) break;
            const std::size_t before = rows.size();
            choose_members(duplicates_, partition_.lists().order[positions[i]], -1, asker.key,
                           k - static_cast<std::int64_t>(before), rows);
            std::fill(out_distances + before, out_distances + rows.size(), space_.distance(squared[i]));
        }
    };
    take(graph.positions.data() + of * graph.k, graph.squared.data() + of * graph.k, graph.k);
    if (static_cast<std::int64_t>(rows.size()) < k) {
        // The lists looked at hold too few (many neighbours asked for, searched approximately): look at all.
        std::vector<std::int32_t> others;
        for (std::int32_t p = 0; p < n_distinct(); ++p) {
            if (p != asker.position) others.push_back(p);
        }
        const auto n = static_cast<std::int64_t>(others.size());
        std::vector<std::int32_t> positions(n);
        std::vector<float> squared(n);
        keep_nearest_in_full(vectors_.view(), asker.vector, others.data(), n, n, positions.data(),
                             squared.data());
        take(positions.data(), squared.data(), n);
    }
    std::copy(rows.begin(), rows.end(), out_indices);
}

Neighbors find_neighbors(const RowSource& rows, int k, const NeighborOptions& options, Progress& progress) {
    return NeighborIndex(rows, options, progress).neighbors(k, progress);
}

}  // namespace tomograph
