#include "tomograph/neighbors/partition.h"

#include <algorithm>
#include <cmath>

#include "tomograph/base/threads.h"

namespace tomograph {
namespace {

/// Rows that a thread takes at once.
constexpr std::int64_t block_rows = 768;

constexpr std::int64_t many_rows = 100'000;

/// Rows a list should hold: a thousand lists, for they are also the coarse map that a UMAP starts from; more
/// rows in each when there are many, so that finding a row's list stays as cheap as searching it.
std::int64_t rows_per_list(std::int64_t n) {
    if (n <= many_rows) return std::max<std::int64_t>((n + 999) / 1000, 10);
    return static_cast<std::int64_t>(100 * std::sqrt(static_cast<double>(n) / many_rows));
}

}  // namespace

void Sketched::keep_distinct(std::int64_t width, const Duplicates& duplicates) {
    for (std::int64_t d = 0; d < duplicates.n_distinct(); ++d) {
        const std::int64_t row = duplicates.representative(d);
        if (row == d) continue;
        std::copy_n(sketches.get() + row * width, width, sketches.get() + d * width);
        half_norms[d] = half_norms[row];
    }
}

Partition::Partition(const RowSource& rows, const PreparedSpace& space, std::uint64_t seed, int threads)
    : space_(space),
      seed_(seed),
      threads_(threads),
      sketch_(rows, space, {.seed = seed, .threads = threads}) {}

Sketched Partition::sketch(const RowSource& rows, std::int64_t begin, std::int64_t end, bool with_hashes,
                           float* prepared_out) const {
    const std::int64_t n = end - begin, width = space_.width();
    Sketched result{make_float_buffer(n * sketch_.width()), std::vector<float>(n),
                    std::vector<RowHash>(with_hashes ? n : 0)};
    parallel_for((n + block_rows - 1) / block_rows, threads_, [&](std::int64_t block) {
        const std::int64_t first = block * block_rows, m = std::min(block_rows, n - first);
        FloatBuffer own;
        if (!prepared_out) own = make_float_buffer(m * width);
        float* prepared = prepared_out ? prepared_out + first * width : own.get();
        space_.read(rows, begin + first, begin + first + m, prepared);
        sketch_.apply(prepared, m, result.sketches.get() + first * sketch_.width(),
                      result.half_norms.data() + first);
        for (std::int64_t i = 0; i < m && with_hashes; ++i) {
            result.hashes[first + i] = hash_row(prepared + i * width, width);
        }
    });
    return result;
}

FloatBuffer Partition::squash_all(const Sketched& sketched, std::int64_t n) const {
    const std::int64_t width = sketch_.width();
    auto squashed = make_float_buffer(n * width);
    parallel_for((n + block_rows - 1) / block_rows, threads_, [&](std::int64_t block) {
        for (std::int64_t i = block * block_rows; i < std::min((block + 1) * block_rows, n); ++i) {
            const float factor = squash().factor(sketched.half_norms[i]);
            for (std::int64_t t = i * width; t < (i + 1) * width; ++t)
                squashed[t] = factor * sketched.sketches[t];
        }
    });
    return squashed;
}

const Lists& Partition::fit(const Sketched& sketched, std::int64_t n) {
    const std::int64_t n_lists = (n + rows_per_list(n) - 1) / rows_per_list(n);
    const auto squashed = squash_all(sketched, n);
    centroids_ = fit_centroids(squashed.get(), n, sketch_.width(),
                               {.n_lists = n_lists, .seed = seed_, .threads = threads_});
    lists_ = group(centroids_.assign(squashed.get(), n, threads_), centroids_.n);
    return lists_;
}

Lists Partition::assign(const Sketched& sketched, std::int64_t n) const {
    return group(centroids_.assign(squash_all(sketched, n).get(), n, threads_), centroids_.n);
}

std::vector<std::int32_t> Partition::probes(const Lists& lists, const Sketched& sketched,
                                            std::int64_t rows_compared) const {
    return nearest_lists(centroids_, lists, sketched.sketches.get(), sketched.half_norms.data(), squash(),
                         n_probes(rows_compared), threads_);
}

std::int64_t Partition::n_probes(std::int64_t rows_compared) const {
    const auto n = static_cast<std::int64_t>(lists_.order.size());
    const std::int64_t wanted = rows_compared / rows_per_list(std::min(n, many_rows));
    return std::clamp<std::int64_t>(wanted, 1, std::max<std::int64_t>(centroids_.n, 1));
}

}  // namespace tomograph
