#include "tomograph/neighbors/exhaustive_search.h"

#include <algorithm>
#include <limits>

#include "tomograph/base/error.h"
#include "tomograph/base/matrix.h"
#include "tomograph/base/threads.h"
#include "tomograph/neighbors/best_scores.h"

namespace tomograph {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

/// Wanted vectors that are compared in one go.
constexpr std::int64_t chunk = 20 * panel_width;
/// Best dot products whose distances are then taken from differences: rounding may have swapped a few.
constexpr std::int64_t spare = 8;

/// Vectors vector(0), ..., vector(n - 1) less `center`, packed; half_norms [48] of them, infinite beyond n.
template <class Get>
void pack_centred(Get vector, std::int64_t n, const Vector& center, float* rows, float* panel,
                  float* half_norms) {
    const std::int64_t width = center.size();
    std::fill_n(half_norms, panel_width, infinity);
    for (std::int64_t i = 0; i < n; ++i) {
        Eigen::Map<Vector> row(rows + i * width, width);
        row = Eigen::Map<const Vector>(vector(i), width) - center;
        half_norms[i] = 0.5f * row.squaredNorm();
    }
    pack_panel(rows, n, width, width, panel);
}

/// Of wanted vectors [begin, end), at most `chunk`; into rows begin.. of `result`.
void search_chunk(const SearchVectors& vectors, std::int64_t n, const Wanted& wanted, std::int64_t begin,
                  std::int64_t end, int threads, NeighborGraph& result) {
    const std::int64_t m = end - begin, width = vectors.width, n_panels = panels_for(m);
    // Centred on their mean, float32 dot products lose little to cancellation.
    Vector center = Vector::Zero(width);
    for (auto i = begin; i < end; ++i) center += Eigen::Map<const Vector>(wanted.vector(i), width);
    center /= static_cast<float>(m);
    const auto queries = make_float_buffer(n_panels * panel_floats(width));
    parallel_for(n_panels, threads, [&](std::int64_t p) {
        const auto rows = make_float_buffer(panel_floats(width));
        float unused[panel_width];
        pack_centred([&](std::int64_t i) { return wanted.vector(begin + p * panel_width + i); },
                     std::min(panel_width, m - p * panel_width), center, rows.get(),
                     queries.get() + p * panel_floats(width), unused);
    });

    const std::int64_t block_rows = std::max<std::int64_t>(16, panels_for(n) / 64) * panel_width;
    const std::int64_t n_blocks = (n + block_rows - 1) / block_rows;
    std::vector<std::vector<BestScores>> found(n_blocks);
    parallel_for(n_blocks, threads, [&](std::int64_t block) {
        auto& best = found[block];
        best.resize(m);
        for (auto& scores : best) scores.reset(result.k + spare);
        const auto rows = make_float_buffer(panel_floats(width)),
                   panel = make_float_buffer(panel_floats(width));
        alignas(64) float tile[tile_size];
        const std::int64_t stop = std::min((block + 1) * block_rows, n);
        for (std::int64_t first = block * block_rows; first < stop; first += panel_width) {
            const std::int64_t count = std::min(panel_width, stop - first);
            float half_norms[panel_width];
            pack_centred([&](std::int64_t i) { return vectors.vector(first + i); }, count, center, rows.get(),
                         panel.get(), half_norms);
            for (std::int64_t p = 0; p < n_panels; ++p) {
                multiply_panels(queries.get() + p * panel_floats(width), panel.get(), width, tile);
                for (std::int64_t i = 0; i < std::min(panel_width, m - p * panel_width); ++i) {
                    const std::int64_t query = p * panel_width + i;
                    best[query].offer(tile + i * panel_width, half_norms, count,
                                      static_cast<std::int32_t>(first),
                                      static_cast<std::int32_t>(wanted.position(begin + query)));
                }
            }
        }
    });
    parallel_for(m, threads, [&](std::int64_t query) {
        BestScores best;
        best.reset(result.k + spare);
        for (const auto& block : found) {
            const std::int64_t count = block[query].count();
            for (std::int64_t i = 0; i < count && block[query].scores()[i] > best.worst(); ++i) {
                best.insert(block[query].scores()[i], block[query].ids()[i]);
            }
        }
        keep_nearest_in_full(vectors, wanted.vector(begin + query), best.ids().data(), best.count(), result.k,
                             result.positions.data() + (begin + query) * result.k,
                             result.squared.data() + (begin + query) * result.k);
    });
}

/// Where nearly all are neighbours, keeping the best few is more work than sorting all.
void sort_all(const SearchVectors& vectors, std::int64_t n, const Wanted& wanted, int threads,
              NeighborGraph& result) {
    parallel_for(wanted.n, threads, [&](std::int64_t i) {
        std::vector<std::int32_t> others;
        for (std::int64_t position = 0; position < n; ++position) {
            if (position != wanted.position(i)) others.push_back(static_cast<std::int32_t>(position));
        }
        keep_nearest_in_full(vectors, wanted.vector(i), others.data(),
                             static_cast<std::int64_t>(others.size()), result.k,
                             result.positions.data() + i * result.k, result.squared.data() + i * result.k);
    });
}

}  // namespace

NeighborGraph search_exhaustively(const SearchVectors& vectors, std::int64_t n, const Wanted& wanted,
                                  std::int64_t k, int threads, Progress& progress) {
    NeighborGraph result{k, std::vector<std::int32_t>(wanted.n * k), std::vector<float>(wanted.n * k), {}};
    if (4 * k > n) {
        sort_all(vectors, n, wanted, threads, result);
        return result;
    }
    for (std::int64_t begin = 0; begin < wanted.n; begin += chunk) {
        if (progress.stop_requested()) throw Stopped("the neighbour search is not kept");
        const std::int64_t end = std::min(begin + chunk, wanted.n);
        search_chunk(vectors, n, wanted, begin, end, threads, result);
        progress.update(end);
    }
    return result;
}

double measure_recall(const NeighborGraph& found, const NeighborGraph& truth) {
    const std::int64_t k = truth.k, n = static_cast<std::int64_t>(truth.squared.size()) / k;
    std::int64_t hits = 0;
    for (std::int64_t row = 0; row < n; ++row) {
        const float limit = truth.squared[row * k + k - 1] * (1 + 1e-5f) + 1e-30f;
        const float* squared = found.squared.data() + row * k;
        hits += std::count_if(squared, squared + k, [&](float value) { return value <= limit; });
    }
    return static_cast<double>(hits) / static_cast<double>(n * k);
}

}  // namespace tomograph
