#include "tomograph/reduce/neighbors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tomograph/base/error.h"
#include "tomograph/base/random.h"
#include "tomograph/base/threads.h"
#include "tomograph/reduce/duplicates.h"
#include "tomograph/reduce/neighbor_search.h"
#include "tomograph/reduce/sketch.h"

namespace tomograph {
namespace {

/// Rows a list should hold: more when there are many, so that finding a row's list stays as cheap as
/// searching it.
std::int64_t rows_per_list(std::int64_t n) {
    return static_cast<std::int64_t>(100 * std::max(1.0, std::sqrt(static_cast<double>(n) / 100'000)));
}

constexpr std::int64_t block_rows = 768;
/// Multiply-adds of an exact search that are not worth avoiding.
constexpr double exact_work = 1.5e11;

bool search_exactly(const NeighborOptions& options, std::int64_t n, std::int64_t width) {
    if (options.search != NeighborOptions::Search::automatic) {
        return options.search == NeighborOptions::Search::exact;
    }
    return n <= 400 || static_cast<double>(n) * static_cast<double>(n * width) <= exact_work;
}

/// Sketches of all rows, and hashes that tell equal rows.
struct Sketched {
    FloatBuffer sketches;           // [n, sketch width]
    std::vector<float> half_norms;  // [n]
    std::vector<RowHash> hashes;    // [n]; empty unless asked for
};

Sketched sketch_rows(const RowSource& rows, std::int64_t begin, std::int64_t end, const PreparedSpace& space,
                     const Sketch& sketch, bool with_hashes, int threads, float* prepared_out) {
    const std::int64_t n = end - begin, width = space.width();
    Sketched result{make_float_buffer(n * sketch.width()), std::vector<float>(n),
                    std::vector<RowHash>(with_hashes ? n : 0)};
    parallel_for((n + block_rows - 1) / block_rows, threads, [&](std::int64_t block) {
        const std::int64_t first = block * block_rows, m = std::min(block_rows, n - first);
        FloatBuffer own;
        if (!prepared_out) own = make_float_buffer(m * width);
        float* prepared = prepared_out ? prepared_out + first * width : own.get();
        space.read(rows, begin + first, begin + first + m, prepared);
        sketch.apply(prepared, m, result.sketches.get() + first * sketch.width(),
                     result.half_norms.data() + first);
        for (std::int64_t i = 0; i < m && with_hashes; ++i) {
            result.hashes[first + i] = hash_row(prepared + i * width, width);
        }
    });
    return result;
}

/// Only the first of each group of equal rows, moved forward in place.
void keep_distinct(Sketched& sketched, std::int64_t width, const Duplicates& duplicates) {
    for (std::int64_t d = 0; d < duplicates.n_distinct(); ++d) {
        const std::int64_t row = duplicates.representative(d);
        if (row == d) continue;
        std::copy_n(sketched.sketches.get() + row * width, width, sketched.sketches.get() + d * width);
        sketched.half_norms[d] = sketched.half_norms[row];
    }
}

void require_k(int k, std::int64_t most) {
    if (k >= 1 && k <= most) return;
    throw Error(fmt::format("cannot find {} neighbours among {} other rows", k, most), "",
                most >= 1 ? fmt::format("ask for 1 to {}, or select more rows", most) : "select more rows");
}

}  // namespace

struct NeighborIndex::State {
    NeighborOptions options;
    int threads;
    PreparedSpace space;
    bool exact;
    std::unique_ptr<Sketch> sketch;
    Duplicates duplicates;
    Centroids centroids;
    IndexedVectors index;

    State(const RowSource& rows, const NeighborOptions& given, Progress& progress)
        : options(given),
          threads(thread_count(given.threads)),
          space(given.metric, rows.dim()),
          exact(search_exactly(given, rows.n_rows(), space.width())) {
        const std::int64_t n = rows.n_rows();
        progress.begin("indexing", 2 * n, "rows");
        sketch = std::make_unique<Sketch>(
            rows, space,
            Sketch::Options{
                .share = exact ? 1 : options.sketch_share, .seed = options.seed, .threads = threads});
        {
            auto sketched = sketch_rows(rows, 0, n, space, *sketch, true, threads, nullptr);
            duplicates = group_duplicates(sketched.hashes);
            keep_distinct(sketched, sketch->width(), duplicates);
            progress.update(n);
            make_lists(sketched);
            index.sketches = pack_lists(index.lists, sketched.sketches.get(), sketched.half_norms.data(),
                                        sketch->width(), threads);
        }
        store_vectors(rows);
        progress.end();
    }

    Squash squash() const { return {sketch->typical_norm()}; }

    FloatBuffer squash_all(const Sketched& sketched, std::int64_t n) const {
        const std::int64_t width = sketch->width();
        auto squashed = make_float_buffer(n * width);
        parallel_for((n + block_rows - 1) / block_rows, threads, [&](std::int64_t block) {
            for (std::int64_t i = block * block_rows; i < std::min((block + 1) * block_rows, n); ++i) {
                const float factor = squash().factor(sketched.half_norms[i]);
                for (std::int64_t t = i * width; t < (i + 1) * width; ++t)
                    squashed[t] = factor * sketched.sketches[t];
            }
        });
        return squashed;
    }

    void make_lists(const Sketched& sketched) {
        const std::int64_t n = duplicates.n_distinct();
        const KMeansOptions k_means{.n_lists = (n + rows_per_list(n) - 1) / rows_per_list(n),
                                    .seed = options.seed,
                                    .threads = threads};
        const auto squashed = squash_all(sketched, n);
        centroids = fit_centroids(squashed.get(), n, sketch->width(), k_means);
        index.lists = group(centroids.assign(squashed.get(), n, threads), centroids.n);
    }

    /// A second reading instead of a second copy in memory: each distinct row goes to its position.
    void store_vectors(const RowSource& rows) {
        const std::int64_t n = rows.n_rows();
        std::vector<std::int32_t> position_of(duplicates.n_distinct());
        for (std::size_t p = 0; p < index.lists.order.size(); ++p) {
            position_of[index.lists.order[p]] = static_cast<std::int32_t>(p);
        }
        index.width = space.width();
        index.vectors = make_float_buffer(duplicates.n_distinct() * index.width);
        parallel_for((n + block_rows - 1) / block_rows, threads, [&](std::int64_t block) {
            const std::int64_t begin = block * block_rows, end = std::min(begin + block_rows, n);
            FloatBuffer copy;
            if (!rows.data()) {
                copy = make_float_buffer((end - begin) * rows.dim());
                rows.read(begin, end, copy.get());
            }
            const float* values = rows.data() ? rows.data() + begin * rows.dim() : copy.get();
            for (std::int64_t row = begin; row < end; ++row, values += rows.dim()) {
                const auto distinct = duplicates.distinct_of[row];
                if (duplicates.representative(distinct) != row) continue;
                space.prepare(values, 1, index.vectors.get() + position_of[distinct] * index.width);
            }
        });
    }

    std::int64_t n_probes() const {
        return std::clamp<std::int64_t>(options.n_probes, 1, std::max<std::int64_t>(centroids.n, 1));
    }

    std::vector<std::int32_t> probes(const Lists& lists, const PackedVectors& packed) const {
        if (exact) return {};
        return nearest_lists(centroids, lists, packed, squash(), n_probes(), threads);
    }

    SearchOptions search_options(std::int64_t k) const {
        // A whole vector's score errs by rounding only; a sketch's by what it leaves out.
        return {.k = k, .n_candidates = k + (sketch->width() == space.width() ? 8 : 48), .threads = threads};
    }

    std::string method(int passes) const {
        if (exact) return "exact";
        return fmt::format("lists={} probes={} sketch={} passes={}", index.lists.n_lists(), n_probes(),
                           sketch->width(), passes);
    }

    /// From positions among distinct rows to row numbers: equals first, then each distinct neighbour's rows.
    /// `self` is the row itself, or -1 for a query.
    void expand(const std::int32_t* positions, const float* squared, std::int64_t n_found, std::int32_t self,
                std::uint64_t key, std::int64_t k, std::vector<std::int32_t>& rows, std::int32_t* out_indices,
                float* out_distances) const {
        rows.clear();
        if (self >= 0) choose_members(duplicates, duplicates.distinct_of[self], self, key, k, rows);
        std::fill_n(out_distances, rows.size(), 0.0f);
        for (std::int64_t i = 0; i < n_found && static_cast<std::int64_t>(rows.size()) < k; ++i) {
            if (positions[i] < 0) break;
            const std::size_t before = rows.size();
            choose_members(duplicates, index.lists.order[positions[i]], -1, key,
                           k - static_cast<std::int64_t>(before), rows);
            std::fill(out_distances + before, out_distances + rows.size(), space.distance(squared[i]));
        }
        std::copy(rows.begin(), rows.end(), out_indices);
        if (static_cast<std::int64_t>(rows.size()) < k) fill_up(rows, self, k, out_indices, out_distances);
    }

    /// Lists with too few rows around them leave slots empty (tiny data searched approximately): take the
    /// first rows that are not there yet, at their true distance or further.
    void fill_up(std::vector<std::int32_t>& rows, std::int32_t self, std::int64_t k,
                 std::int32_t* out_indices, float* out_distances) const {
        const float last = rows.empty() ? 0.0f : out_distances[rows.size() - 1];
        for (std::int32_t row = 0; static_cast<std::int64_t>(rows.size()) < k; ++row) {
            if (row == self || std::find(rows.begin(), rows.end(), row) != rows.end()) continue;
            out_indices[rows.size()] = row;
            out_distances[rows.size()] = last;
            rows.push_back(row);
        }
    }
};

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
    return state_->index.lists.n_lists();
}

Matrix NeighborIndex::list_centers() const {
    const Centroids& centroids = state_->centroids;
    return MatrixView(centroids.values.data(), centroids.n, centroids.width);
}

std::vector<std::int32_t> NeighborIndex::list_of_rows() const {
    const Lists& lists = state_->index.lists;
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
        const GroupedQueries queries{&s.index.lists,
                                     &s.index.sketches,
                                     s.index.vectors.get(),
                                     false,
                                     true,
                                     s.probes(s.index.lists, s.index.sketches),
                                     s.n_probes()};
        // Passes over neighbours of neighbours reach further when more than k are kept until the end.
        const auto kept = s.exact ? k_distinct : std::min<std::int64_t>(2 * k_distinct, n_distinct() - 1);
        graph = search_lists(s.index, queries, s.search_options(kept), progress);
        if (!s.exact) {
            const auto chosen =
                sample_indices(n_distinct(), s.options.recall_sample, mix(s.options.seed, 0x7265));
            const auto truth = true_distances(s.index, chosen, k_distinct, s.threads);
            result.recall = measure_recall(graph, chosen, truth);
            for (int pass = 1; pass <= 3 && result.recall < s.options.target_recall; ++pass) {
                const double before = result.recall;
                graph = refine(s.index, graph, s.threads, progress);
                result.recall = measure_recall(graph, chosen, truth);
                result.method = s.method(pass);
                if (result.recall < before + 0.002)
                    break;  // a high-dimensional cloud: neighbours know no better
            }
        }
        progress.end();
    }
    const auto& order = s.index.lists.order;
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
        const auto sketched =
            sketch_rows(queries, begin, end, s.space, *s.sketch, false, s.threads, prepared.get());
        const Lists lists =
            group(s.centroids.assign(s.squash_all(sketched, end - begin).get(), end - begin, s.threads),
                  s.centroids.n);
        const auto packed = pack_lists(lists, sketched.sketches.get(), sketched.half_norms.data(),
                                       s.sketch->width(), s.threads);
        const GroupedQueries grouped{
            &lists, &packed, prepared.get(), true, false, s.probes(lists, packed), s.n_probes()};
        const auto graph = search_lists(s.index, grouped, s.search_options(k_distinct), no_progress());
        std::vector<std::int32_t> rows;
        for (std::int64_t p = 0; p < end - begin; ++p) {
            const std::int64_t row = begin + lists.order[p];
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
