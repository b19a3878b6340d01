#include "tomograph/neighbors/neighbor_state.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tomograph/base/random.h"
#include "tomograph/base/threads.h"
#include "tomograph/neighbors/distances.h"

namespace tomograph {
namespace {

constexpr std::int64_t block_rows = neighbor_block_rows;

/// Rows a list should hold: a thousand lists, for they are also the coarse map that a UMAP starts from; more
/// rows in each when there are many, so that finding a row's list stays as cheap as searching it.
std::int64_t rows_per_list(std::int64_t n) {
    if (n <= 100'000) return std::max<std::int64_t>((n + 999) / 1000, 10);
    return static_cast<std::int64_t>(100 * std::sqrt(static_cast<double>(n) / 100'000));
}

/// Multiply-adds of an exact search that are not worth avoiding.
constexpr double exact_work = 1.5e11;

bool search_exactly(const NeighborOptions& options, std::int64_t n, std::int64_t width) {
    if (options.search != NeighborOptions::Search::automatic) {
        return options.search == NeighborOptions::Search::exact;
    }
    return n <= 400 || static_cast<double>(n) * static_cast<double>(n * width) <= exact_work;
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

}  // namespace

NeighborIndex::State::State(const RowSource& rows, const NeighborOptions& given, Progress& progress)
    : options(given),
      threads(thread_count(given.threads)),
      space(given.metric, rows.dim()),
      exact(search_exactly(given, rows.n_rows(), space.width())),
      by_bytes(!exact) {
    const std::int64_t n = rows.n_rows();
    progress.begin("indexing", 2 * n, "rows");
    sketch = std::make_unique<Sketch>(rows, space, Sketch::Options{.seed = options.seed, .threads = threads});
    {
        auto sketched = sketch_rows(rows, 0, n, true, nullptr);
        duplicates = group_duplicates(sketched.hashes);
        keep_distinct(sketched, sketch->width(), duplicates);
        progress.update(n);
        make_lists(sketched);
    }
    store_vectors(rows);
    if (by_bytes && bytes_are_coarse()) by_bytes = false, bytes = {};
    progress.end();
}

Sketched NeighborIndex::State::sketch_rows(const RowSource& rows, std::int64_t begin, std::int64_t end,
                                           bool with_hashes, float* prepared_out) const {
    const std::int64_t n = end - begin, width = space.width();
    Sketched result{make_float_buffer(n * sketch->width()), std::vector<float>(n),
                    std::vector<RowHash>(with_hashes ? n : 0)};
    parallel_for((n + block_rows - 1) / block_rows, threads, [&](std::int64_t block) {
        const std::int64_t first = block * block_rows, m = std::min(block_rows, n - first);
        FloatBuffer own;
        if (!prepared_out) own = make_float_buffer(m * width);
        float* prepared = prepared_out ? prepared_out + first * width : own.get();
        space.read(rows, begin + first, begin + first + m, prepared);
        sketch->apply(prepared, m, result.sketches.get() + first * sketch->width(),
                      result.half_norms.data() + first);
        for (std::int64_t i = 0; i < m && with_hashes; ++i) {
            result.hashes[first + i] = hash_row(prepared + i * width, width);
        }
    });
    return result;
}

FloatBuffer NeighborIndex::State::squash_all(const Sketched& sketched, std::int64_t n) const {
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

void NeighborIndex::State::make_lists(const Sketched& sketched) {
    const std::int64_t n = duplicates.n_distinct();
    const KMeansOptions k_means{
        .n_lists = (n + rows_per_list(n) - 1) / rows_per_list(n), .seed = options.seed, .threads = threads};
    const auto squashed = squash_all(sketched, n);
    centroids = fit_centroids(squashed.get(), n, sketch->width(), k_means);
    lists = group(centroids.assign(squashed.get(), n, threads), centroids.n);
    if (!exact) probes = find_probes(lists, sketched);
}

/// A second reading instead of a second copy in memory: each distinct row goes to its position.
void NeighborIndex::State::store_vectors(const RowSource& rows) {
    const std::int64_t n = rows.n_rows(), width = space.width();
    std::vector<std::int32_t> position_of(duplicates.n_distinct());
    for (std::size_t p = 0; p < lists.order.size(); ++p) {
        position_of[lists.order[p]] = static_cast<std::int32_t>(p);
    }
    vectors = make_float_buffer(duplicates.n_distinct() * width);
    if (by_bytes) bytes = ByteVectors(duplicates.n_distinct(), rows.dim());
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
            const std::int64_t position = position_of[distinct];
            float* vector = vectors.get() + position * width;
            space.prepare(values, 1, vector);
            if (by_bytes) bytes.set(position, vector, sketch->center());
        }
    });
}

/// Where neighbours lie within a few roundings of each other, bytes cannot tell which are nearest. The
/// nearest of a few rows of the same list stands for a neighbour.
bool NeighborIndex::State::bytes_are_coarse() const {
    constexpr std::int64_t sample = 1000, few = 15;
    constexpr float fewest_steps = 25;
    const std::int64_t n = duplicates.n_distinct() - few;
    if (n < 1) return true;
    std::vector<float> steps;
    for (const auto p : sample_indices(n, sample, mix(options.seed, 0x636f))) {
        std::int32_t others[few];
        float squared[few];
        std::iota(others, others + few, static_cast<std::int32_t>(p + 1));
        squared_distances(vectors.get() + p * space.width(), vectors.get(), space.width(), others, few,
                          squared);
        steps.push_back(std::sqrt(*std::min_element(squared, squared + few)) /
                        std::max(bytes.step(p), 1e-30f));
    }
    const auto middle = steps.begin() + static_cast<std::ptrdiff_t>(steps.size() / 2);
    std::nth_element(steps.begin(), middle, steps.end());
    return *middle < fewest_steps;
}

std::int64_t NeighborIndex::State::n_probes() const {
    const std::int64_t wanted = options.rows_compared / rows_per_list(duplicates.n_distinct());
    return std::clamp<std::int64_t>(wanted, 1, std::max<std::int64_t>(centroids.n, 1));
}

std::vector<std::int32_t> NeighborIndex::State::find_probes(const Lists& of, const Sketched& sketched) const {
    return nearest_lists(centroids, of, sketched.sketches.get(), sketched.half_norms.data(), squash(),
                         n_probes(), threads);
}

}  // namespace tomograph
