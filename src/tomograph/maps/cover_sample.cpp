#include "tomograph/maps/cover_sample.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <utility>

#include "tomograph/base/error.h"
#include "tomograph/base/random.h"
#include "tomograph/base/threads.h"
#include "tomograph/maps/subset_rows.h"
#include "tomograph/neighbors/lists.h"
#include "tomograph/neighbors/sketch.h"

namespace tomograph {
namespace {

constexpr std::int64_t kPilot = 16384;
constexpr std::int64_t kMostCells = 512;  ///< of each kind: of the pilot's rows, and of the far ones
/// Fewest rows that a cell should be able to give: less than a neighbourhood makes no cluster of its own.
constexpr std::int64_t kFewestOfACell = 32;
constexpr std::size_t kCandidates = 4096;
constexpr std::int64_t kBlock = 16384, kChunk = 512;
/// Squared distance, in typical ones of a cell, from which on a row is not covered by it.
constexpr double kFar = 2;

/// What a row is told by: its sketch, and the length of what the sketch leaves out of it.
class Describer {
  public:
    Describer(const RowSource& rows, const CoverOptions& options)
        : rows_(rows),
          space_(options.metric, rows.dim()),
          sketch_(rows, space_, {.seed = options.seed, .threads = options.threads}),
          threads_(thread_count(options.threads)) {}

    std::int64_t width() const { return sketch_.width() + 1; }
    int threads() const { return threads_; }
    std::int64_t n_rows() const { return rows_.n_rows(); }
    /// Of rows [begin, end): [n, width].
    Matrix read(std::int64_t begin, std::int64_t end) const { return read(rows_, begin, end); }
    Matrix read(const RowSource& rows, std::int64_t begin, std::int64_t end) const {
        const std::int64_t n = end - begin, full = space_.width(), short_width = sketch_.width();
        Matrix told(n, width());
        parallel_for((n + kChunk - 1) / kChunk, threads_, [&](std::int64_t chunk) {
            const std::int64_t first = chunk * kChunk, m = std::min(kChunk, n - first);
            const auto prepared = make_float_buffer(m * full);
            space_.read(rows, begin + first, begin + first + m, prepared.get());
            Matrix sketch(m, short_width);
            std::vector<float> half_norms(static_cast<std::size_t>(m));
            sketch_.apply(prepared.get(), m, sketch.data(), half_norms.data());
            told.block(first, 0, m, short_width) = sketch;
            const MatrixView whole(prepared.get(), m, full);
            for (std::int64_t i = 0; i < m; ++i) {
                const float left = (whole.row(i) - sketch_.center().transpose()).squaredNorm() -
                                   2 * half_norms[static_cast<std::size_t>(i)];
                told(first + i, short_width) = short_width < full && left > 0 ? std::sqrt(left) : 0.0f;
            }
        });
        return told;
    }

  private:
    const RowSource& rows_;
    PreparedSpace space_;
    Sketch sketch_;
    int threads_;
};

/// Cells by their nearest centre, and how far from it rows typically are.
struct Cells {
    Centroids centers;
    std::vector<double> typical;  // [n] squared distance

    /// Of rows [n, width]: their cells, and their squared distances in typical ones.
    std::vector<std::int32_t> assign(const Matrix& told, int threads, std::vector<double>* ratios) const {
        auto nearest = centers.assign(told.data(), told.rows(), threads).nearest;
        if (ratios != nullptr) {
            ratios->resize(nearest.size());
            parallel_for((told.rows() + kChunk - 1) / kChunk, threads, [&](std::int64_t chunk) {
                for (Eigen::Index i = chunk * kChunk; i < std::min((chunk + 1) * kChunk, told.rows()); ++i) {
                    const auto c = static_cast<std::size_t>(nearest[static_cast<std::size_t>(i)]);
                    (*ratios)[static_cast<std::size_t>(i)] = squared(told.row(i).data(), c) / typical[c];
                }
            });
        }
        return nearest;
    }
    double squared(const float* row, std::size_t c) const {
        const Eigen::Map<const Vector> center(
            centers.values.data() + static_cast<std::int64_t>(c) * centers.width, centers.width);
        return (Eigen::Map<const Vector>(row, centers.width) - center).squaredNorm();
    }
};

Cells cells_of(const Matrix& pilot, std::int64_t n_cells, const CoverOptions& options, int threads) {
    Cells cells{
        fit_centroids(pilot.data(), pilot.rows(), pilot.cols(),
                      {.n_lists = n_cells, .sample_per_list = 40, .seed = options.seed, .threads = threads}),
        {}};
    cells.typical.assign(static_cast<std::size_t>(cells.centers.n), 1.0);
    std::vector<double> squared;
    const auto nearest = cells.assign(pilot, threads, &squared);
    std::vector<double> sums(cells.typical.size()), counts(cells.typical.size()), sorted = squared;
    for (std::size_t i = 0; i < nearest.size(); ++i) {
        sums[static_cast<std::size_t>(nearest[i])] += squared[i];
        counts[static_cast<std::size_t>(nearest[i])] += 1;
    }
    const auto middle = sorted.begin() + std::ssize(sorted) / 2;
    std::nth_element(sorted.begin(), middle, sorted.end());
    // A cell of few rows says little of itself; of none that differ, rounding is not to make all the others
    // far.
    constexpr double kWeight = 8;
    const double usual = std::max({*middle, 1e-9 * *std::ranges::max_element(squared), 1e-30});
    for (std::size_t c = 0; c < sums.size(); ++c)
        cells.typical[c] = (sums[c] + kWeight * usual) / (counts[c] + kWeight);
    return cells;
}

/// A row far from its cell.
struct Candidate {
    double key = 0;  ///< the lowest are kept
    std::int64_t row = 0;
    std::vector<float> told;
    double ratio = 0;    ///< squared distance to the nearest centre, in typical ones
    double typical = 0;  ///< of the cell that it was in
    bool operator<(const Candidate& other) const {
        return key != other.key ? key < other.key : row < other.row;
    }
};

void read_stopped(const Progress& progress) {
    if (progress.stop_requested()) throw Stopped("nothing, the map was not finished");
}

std::vector<Candidate> draw_candidates(const Describer& rows, const Cells& cells, const CoverOptions& options,
                                       Progress& progress) {
    std::vector<Candidate> heap;
    std::vector<double> ratios;
    for (std::int64_t begin = 0; begin < rows.n_rows(); begin += kBlock) {
        read_stopped(progress);
        const std::int64_t end = std::min(begin + kBlock, rows.n_rows());
        const Matrix told = rows.read(begin, end);
        const auto nearest = cells.assign(told, rows.threads(), &ratios);
        for (std::int64_t row = begin; row < end; ++row) {
            const auto i = static_cast<std::size_t>(row - begin);
            if (!(ratios[i] > 1)) continue;
            const double u = to_unit(mix(options.seed, 0xca4d, static_cast<std::uint64_t>(row)));
            const double key = -std::log(1 - u) / std::pow(ratios[i], 4);
            if (heap.size() == kCandidates && key >= heap.front().key) continue;
            const float* first = told.row(row - begin).data();
            heap.push_back({key, row, std::vector<float>(first, first + told.cols()), ratios[i],
                            cells.typical[static_cast<std::size_t>(nearest[i])]});
            std::push_heap(heap.begin(), heap.end());
            if (heap.size() > kCandidates) {
                std::pop_heap(heap.begin(), heap.end());
                heap.pop_back();
            }
        }
        progress.update(end);
    }
    std::sort_heap(heap.begin(), heap.end());
    return heap;
}

/// Adds the candidates that are far from all centres, the farthest first, as centres of their own.
void add_far(Cells& cells, std::vector<Candidate> candidates, std::int64_t most, int threads) {
    for (std::int64_t added = 0; added < most && !candidates.empty(); ++added) {
        const Candidate far = *std::ranges::max_element(candidates, {}, &Candidate::ratio);
        if (far.ratio < kFar) break;
        cells.centers.values.insert(cells.centers.values.end(), far.told.begin(), far.told.end());
        ++cells.centers.n;
        cells.typical.push_back(far.typical);
        const auto center = static_cast<std::size_t>(cells.centers.n - 1);
        parallel_for(std::ssize(candidates) / kChunk + 1, threads, [&](std::int64_t chunk) {
            const auto end = std::min<std::int64_t>((chunk + 1) * kChunk, std::ssize(candidates));
            for (std::int64_t i = chunk * kChunk; i < end; ++i) {
                Candidate& one = candidates[static_cast<std::size_t>(i)];
                one.ratio = std::min(one.ratio, cells.squared(one.told.data(), center) / far.typical);
            }
        });
    }
    cells.centers.pack();
}

/// Rows of the lowest hashes of each cell, in heaps: as many as the level, which falls while cells fill up.
class Level {
  public:
    Level(std::size_t n_cells, std::int64_t wanted) : heaps_(n_cells), seen_(n_cells), wanted_(wanted) {}

    void add(std::size_t cell, std::uint64_t hash, std::int64_t row) {
        ++seen_[cell];
        auto& heap = heaps_[cell];
        const std::pair entry(hash, row);
        if (std::ssize(heap) > level_) {
            if (entry >= heap.front()) return;
            std::pop_heap(heap.begin(), heap.end());
            heap.back() = entry;
            std::push_heap(heap.begin(), heap.end());
            return;
        }
        heap.push_back(entry);
        std::push_heap(heap.begin(), heap.end());
        if (++held_ > 2 * wanted_ + std::ssize(heaps_)) lower();
    }
    /// All that are wanted, or all that there are: up to the level in each cell, and of what is beyond it the
    /// lowest hashes.
    std::vector<std::int64_t> finish() {
        lower();
        std::vector<std::int64_t> rows;
        std::vector<std::pair<std::uint64_t, std::int64_t>> beyond;
        for (auto& heap : heaps_) {
            std::sort_heap(heap.begin(), heap.end());
            for (std::int64_t i = 0; i < std::ssize(heap); ++i) {
                const auto& entry = heap[static_cast<std::size_t>(i)];
                if (i < level_)
                    rows.push_back(entry.second);
                else
                    beyond.push_back(entry);
            }
        }
        std::ranges::sort(beyond);
        for (std::size_t i = 0; i < beyond.size() && std::ssize(rows) < wanted_; ++i)
            rows.push_back(beyond[i].second);
        return rows;
    }

  private:
    /// The highest level at which no more are kept than are wanted; one beyond it is kept for the remainder.
    /// What has been seen only grows, so that it never rises.
    void lower() {
        const auto kept = [&](std::int64_t level) {
            std::int64_t sum = 0;
            for (const std::int64_t n : seen_) sum += std::min(n, level);
            return sum;
        };
        std::int64_t low = 0, high = wanted_;
        while (low < high) {
            const std::int64_t middle = (low + high + 1) / 2;
            if (kept(middle) <= wanted_)
                low = middle;
            else
                high = middle - 1;
        }
        level_ = low;
        held_ = 0;
        for (auto& heap : heaps_) {
            while (std::ssize(heap) > level_ + 1) {
                std::pop_heap(heap.begin(), heap.end());
                heap.pop_back();
            }
            held_ += std::ssize(heap);
        }
    }

    std::vector<std::vector<std::pair<std::uint64_t, std::int64_t>>> heaps_;  // (hash, row), largest first
    std::vector<std::int64_t> seen_;
    std::int64_t wanted_, held_ = 0;
    std::int64_t level_ = std::numeric_limits<std::int64_t>::max() - 1;
};

}  // namespace

std::vector<std::int64_t> covering_sample(const RowSource& rows, std::int64_t count,
                                          const CoverOptions& options, Progress& progress) {
    const std::int64_t n = rows.n_rows();
    const auto uniform = sample_indices(n, count >= n ? n : count / 2, options.seed);
    if (count >= n) return uniform;
    const std::int64_t spread = count - std::ssize(uniform);
    const std::int64_t n_cells = std::clamp<std::int64_t>(spread / kFewestOfACell / 2, 1, kMostCells);

    progress.begin("choosing rows that cover", 2 * n, "rows");
    const Describer describer(rows, options);
    const SubsetRows chosen(rows, sample_indices(n, kPilot, mix(options.seed, 0x9110)));
    const Matrix pilot = describer.read(chosen, 0, chosen.n_rows());
    Cells cells = cells_of(pilot, std::min(n_cells, pilot.rows()), options, describer.threads());
    add_far(cells, draw_candidates(describer, cells, options, progress), n_cells, describer.threads());

    Level level(cells.typical.size(), spread);
    auto next = uniform.begin();
    for (std::int64_t begin = 0; begin < n; begin += kBlock) {
        read_stopped(progress);
        const std::int64_t end = std::min(begin + kBlock, n);
        const auto nearest = cells.assign(describer.read(begin, end), describer.threads(), nullptr);
        for (std::int64_t row = begin; row < end; ++row) {
            if (next != uniform.end() && *next == row) {
                ++next;
                continue;
            }
            level.add(static_cast<std::size_t>(nearest[static_cast<std::size_t>(row - begin)]),
                      mix(options.seed, 0xce11, static_cast<std::uint64_t>(row)), row);
        }
        progress.update(n + end);
    }
    progress.end();
    std::vector<std::int64_t> of_cells = level.finish(), all;
    std::ranges::sort(of_cells);
    std::ranges::merge(uniform, of_cells, std::back_inserter(all));
    return all;
}

}  // namespace tomograph
