#include "tomograph/neighbors/exhaustive_search.h"

#include <algorithm>
#include <cmath>
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

/// The k nearest of all n vectors but the one at `self`, each compared in full.
void compare_with_all(const SearchVectors& vectors, std::int64_t n, const float* query, std::int64_t self,
                      std::int64_t k, std::int32_t* positions, float* squared) {
    std::vector<std::int32_t> others;
    others.reserve(n);
    for (std::int64_t position = 0; position < n; ++position) {
        if (position != self) others.push_back(static_cast<std::int32_t>(position));
    }
    keep_nearest_in_full(vectors, query, others.data(), static_cast<std::int64_t>(others.size()), k,
                         positions, squared);
}

/// The k nearest of those kept as `best` by dot products, compared in full; or of all, where rounding may
/// hide one of the k among those not kept: |a|^2 in the products far above the distances, as within tight
/// groups far apart. `squared_length`: the largest |query - centre|^2 that products were taken with. A vector
/// b that is not kept has at least the worst kept one's distance, less the rounding of its own, which is at
/// most c (|a|^2 + |b|^2) <= c (3 |a|^2 + 2 |a - b|^2); where the two have centres of their own, see
/// Tournament.
void finish(const SearchVectors& vectors, std::int64_t n, const float* query, std::int64_t self,
            const BestScores& best, float squared_length, float worst_squared, std::int64_t k,
            std::int32_t* positions, float* squared) {
    keep_nearest_in_full(vectors, query, best.ids().data(), best.count(), k, positions, squared);
    if (best.count() < k + spare) return;  // nothing was left out
    const float c = 4 * std::numeric_limits<float>::epsilon() * std::sqrt(static_cast<float>(vectors.width));
    if (squared[k - 1] * (1 + 5 * c) <= worst_squared - 3 * c * squared_length) return;
    compare_with_all(vectors, n, query, self, k, positions, squared);
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
    std::vector<float> half_lengths(n_panels * panel_width);
    parallel_for(n_panels, threads, [&](std::int64_t p) {
        const auto rows = make_float_buffer(panel_floats(width));
        pack_centred([&](std::int64_t i) { return wanted.vector(begin + p * panel_width + i); },
                     std::min(panel_width, m - p * panel_width), center, rows.get(),
                     queries.get() + p * panel_floats(width), half_lengths.data() + p * panel_width);
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
        // Scores are -1/2 of the squared distance, plus 1/2 |query|^2.
        finish(vectors, n, wanted.vector(begin + query), wanted.position(begin + query), best,
               2 * half_lengths[query], 2 * (half_lengths[query] - best.worst()), result.k,
               result.positions.data() + (begin + query) * result.k,
               result.squared.data() + (begin + query) * result.k);
    });
}

/// Where nearly all are neighbours, keeping the best few is more work than sorting all.
void sort_all(const SearchVectors& vectors, std::int64_t n, const Wanted& wanted, int threads,
              NeighborGraph& result) {
    parallel_for(wanted.n, threads, [&](std::int64_t i) {
        compare_with_all(vectors, n, wanted.vector(i), wanted.position(i), result.k,
                         result.positions.data() + i * result.k, result.squared.data() + i * result.k);
    });
}

/// All vectors in blocks that meet each other, and the best that each vector has met.
///
/// A block is packed once, centred on its own mean, so that vectors that lie close together lose little to
/// cancellation wherever they lie. With a' = a - c_A, b' = b - c_B and m = c_A - c_B,
///     -1/2 |a - b|^2 = a' b' - (1/2 |a'|^2 + a' m + 1/4 |m|^2) - (1/2 |b'|^2 - b' m + 1/4 |m|^2).
/// Its rounding is at most 3/2 c (|a'|^2 + |b'|^2 + |m|^2), and |b'|^2 <= 3 (|a'|^2 + |m|^2 + |a - b|^2): at
/// most c (3 * 2 (|a'|^2 + |m|^2) + 5 |a - b|^2) in all, which finish() allows for.
class Tournament {
  public:
    Tournament(const SearchVectors& vectors, std::int64_t n, std::int64_t k, int threads)
        : width_(vectors.width),
          n_(n),
          threads_(threads),
          block_rows_(std::clamp<std::int64_t>(panels_for(n) / 64, 4, 8) * panel_width),
          n_blocks_((n + block_rows_ - 1) / block_rows_),
          means_(n_blocks_, vectors.width),
          panels_(make_float_buffer(panels_for(n) * panel_floats(vectors.width))),
          half_norms_(panels_for(n) * panel_width),
          best_(n),
          lengths_(n, 0.0f) {
        parallel_for(n_blocks_, threads, [&](std::int64_t block) {
            VectorD sum = VectorD::Zero(width_);
            for (auto i = begin(block); i < end(block); ++i) {
                sum += Eigen::Map<const Vector>(vectors.vector(i), width_).cast<double>();
                best_[i].reset(k + spare);
            }
            means_.row(block) = (sum / static_cast<double>(end(block) - begin(block))).cast<float>();
            const Vector center = means_.row(block).transpose();
            const auto rows = make_float_buffer(panel_floats(width_));
            for (auto first = begin(block); first < end(block); first += panel_width) {
                pack_centred([&](std::int64_t i) { return vectors.vector(first + i); },
                             std::min(panel_width, end(block) - first), center, rows.get(), panel(first),
                             half_norms_.data() + first);
            }
        });
    }

    /// Round 0 is each block with itself. In the others no block comes twice, so that each vector meets the
    /// others in the same order at any number of threads.
    std::int64_t n_rounds() const { return seats(); }
    void play(std::int64_t round) {
        if (round == 0)
            return parallel_for(n_blocks_, threads_, [&](std::int64_t block) { meet(block, block); });
        // The circle method: one seat stays, the others move on by one in each round.
        const std::int64_t moving = seats() - 1;
        parallel_for(seats() / 2, threads_, [&](std::int64_t i) {
            const std::int64_t a = i == 0 ? moving : (round + i) % moving;
            const std::int64_t b = (round + moving - i) % moving;
            if (a < n_blocks_ && b < n_blocks_) meet(std::min(a, b), std::max(a, b));
        });
    }
    const BestScores& best(std::int64_t i) const { return best_[i]; }
    /// What stands for |vector - centre|^2 in the bound of its rounding.
    float squared_length(std::int64_t i) const { return 2 * lengths_[i]; }

  private:
    std::int64_t seats() const {
        return n_blocks_ + n_blocks_ % 2;
    }  // the last is empty where the number is odd
    std::int64_t begin(std::int64_t block) const { return block * block_rows_; }
    std::int64_t end(std::int64_t block) const { return std::min((block + 1) * block_rows_, n_); }
    /// Blocks begin at whole panels.
    float* panel(std::int64_t first) const { return panels_.get() + first * width_; }

    /// What is to be taken off the products of a block's vectors with those of a block whose centre lies `m`
    /// away, the first way or the other: [48] of each panel.
    std::vector<float> offsets(std::int64_t block, const Vector& m, float sign) const {
        std::vector<float> taken;
        const float quarter = 0.25f * m.squaredNorm();
        for (auto first = begin(block); first < end(block); first += panel_width) {
            alignas(64) float dots[panel_width] = {};
            const float* values = panel(first);
            for (std::int64_t t = 0; t < width_; ++t, values += panel_width) {
                for (std::int64_t i = 0; i < panel_width; ++i) dots[i] += m[t] * values[i];
            }
            for (std::int64_t i = 0; i < panel_width; ++i)
                taken.push_back(half_norms_[first + i] + sign * dots[i] + quarter);
        }
        return taken;
    }

    void meet(std::int64_t a, std::int64_t b) {
        const Vector apart = (means_.row(a) - means_.row(b)).transpose();
        const std::vector<float> left = offsets(a, apart, 1), right = offsets(b, apart, -1);
        note_lengths(a, apart);
        note_lengths(b, apart);
        alignas(64) float tile[tile_size], turned[tile_size];
        for (auto i = begin(a); i < end(a); i += panel_width) {
            for (auto j = a == b ? i : begin(b); j < end(b); j += panel_width) {
                multiply_panels(panel(i), panel(j), width_, tile);
                const float* of_i = left.data() + (i - begin(a));
                const float* of_j = right.data() + (j - begin(b));
                for (std::int64_t r = 0; r < panel_width; ++r) {
                    for (std::int64_t c = 0; c < panel_width; ++c)
                        tile[r * panel_width + c] -= of_i[r] + of_j[c];
                }
                offer(tile, i, end(a), j, end(b));
                if (i == j) continue;
                for (std::int64_t r = 0; r < panel_width; ++r) {
                    for (std::int64_t c = 0; c < panel_width; ++c)
                        turned[c * panel_width + r] = tile[r * panel_width + c];
                }
                offer(turned, j, end(b), i, end(a));
            }
        }
    }
    void note_lengths(std::int64_t block, const Vector& apart) {
        const float between = apart.squaredNorm();
        for (auto i = begin(block); i < end(block); ++i)
            lengths_[i] = std::max(lengths_[i], 2 * half_norms_[i] + between);
    }
    void offer(const float* scores, std::int64_t to, std::int64_t to_end, std::int64_t from,
               std::int64_t from_end) {
        static constexpr float nothing[panel_width] = {};
        for (auto i = to; i < std::min(to + panel_width, to_end); ++i) {
            best_[i].offer(scores + (i - to) * panel_width, nothing, from_end - from,
                           static_cast<std::int32_t>(from), static_cast<std::int32_t>(i));
        }
    }

    std::int64_t width_, n_;
    int threads_;
    std::int64_t block_rows_, n_blocks_;
    Matrix means_;                   // [n_blocks, width]
    FloatBuffer panels_;             // all vectors, each centred on its block's mean
    std::vector<float> half_norms_;  // [panels * 48], infinite beyond n
    std::vector<BestScores> best_;
    std::vector<float> lengths_;  // [n]
};

void stop_if_asked(const Progress& progress) {
    if (progress.stop_requested()) throw Stopped("the neighbour search is not kept");
}

}  // namespace

NeighborGraph search_all_pairs(const SearchVectors& vectors, std::int64_t n, std::int64_t k, int threads,
                               Progress& progress) {
    NeighborGraph result{k, std::vector<std::int32_t>(n * k), std::vector<float>(n * k), {}};
    if (4 * k > n) {
        stop_if_asked(progress);
        const Wanted everyone{n, [&](std::int64_t i) { return vectors.vector(i); },
                              [](std::int64_t i) { return i; }};
        sort_all(vectors, n, everyone, threads, result);
        return result;
    }
    Tournament tournament(vectors, n, k, threads);
    for (std::int64_t round = 0; round < tournament.n_rounds(); ++round) {
        stop_if_asked(progress);
        tournament.play(round);
        progress.update(n * (round + 1) / tournament.n_rounds());
    }
    parallel_for(panels_for(n), threads, [&](std::int64_t p) {
        for (auto i = p * panel_width; i < std::min((p + 1) * panel_width, n); ++i) {
            const BestScores& best = tournament.best(i);
            finish(vectors, n, vectors.vector(i), i, best, tournament.squared_length(i), -2 * best.worst(), k,
                   result.positions.data() + i * k, result.squared.data() + i * k);
        }
    });
    return result;
}

NeighborGraph search_exhaustively(const SearchVectors& vectors, std::int64_t n, const Wanted& wanted,
                                  std::int64_t k, int threads, Progress& progress) {
    NeighborGraph result{k, std::vector<std::int32_t>(wanted.n * k), std::vector<float>(wanted.n * k), {}};
    if (4 * k > n) {
        sort_all(vectors, n, wanted, threads, result);
        return result;
    }
    for (std::int64_t begin = 0; begin < wanted.n; begin += chunk) {
        stop_if_asked(progress);
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
