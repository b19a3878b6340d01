#include "tomograph/linear/attention.h"

#include <cblas.h>

#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include "tomograph/base/threads.h"
#include "tomograph/linear/blas.h"

namespace tomograph {
namespace {

constexpr std::uint16_t kHiddenHalf = 0xfc00;
constexpr float kLeast = -87;
// Queries of a block. Fewer waste less on hidden keys, more need fewer passes over the keys.
constexpr std::int64_t kBlock = 64;
// Numbers from one row of scores to the next: Eigen's sums, and its exponentials where their last bit is concerned,
// depend on where a row lies.
constexpr std::int64_t kAligned = 16;
// OpenBLAS has no room for more callers at once.
constexpr int kMostCallers = 64;

struct Range {
    std::int64_t begin, end;
    bool holes = false;  // keys in between are hidden as well
    bool empty() const { return begin >= end; }
};

/// Keys between the first and the last that a query sees.
Range seen_by(const Attention& a, std::int64_t query) {
    const std::uint16_t* row = a.mask + query * a.mask_step;
    Range range{0, a.n_keys};
    while (range.end > 0 && row[range.end - 1] == kHiddenHalf) --range.end;
    while (range.begin < range.end && row[range.begin] == kHiddenHalf) ++range.begin;
    range.holes = std::find(row + range.begin, row + range.end, kHiddenHalf) != row + range.end;
    return range;
}

/// Blocks of queries, and which keys they read: what all heads share.
struct Blocks {
    explicit Blocks(const Attention& a) : n((a.n_queries + kBlock - 1) / kBlock) {
        for (std::int64_t query = 0; query < a.n_queries; ++query) seen.push_back(seen_by(a, query));
        for (std::int64_t block = 0; block < n; ++block) {
            Range all{a.n_keys, 0};
            for (std::int64_t query = block * kBlock; query < end(a, block); ++query) {
                const Range& one = seen[static_cast<std::size_t>(query)];
                if (one.empty()) continue;
                all.begin = std::min(all.begin, one.begin);
                all.end = std::max(all.end, one.end);
            }
            read.push_back(all);
            cost.push_back((cost.empty() ? 0 : cost.back()) + std::max<std::int64_t>(1, all.end - all.begin));
        }
    }
    static std::int64_t end(const Attention& a, std::int64_t block) {
        return std::min(a.n_queries, (block + 1) * kBlock);
    }

    std::int64_t n;
    std::vector<Range> seen;          // by each query
    std::vector<Range> read;          // by each block
    std::vector<std::int64_t> cost;  // of all blocks up to and with each
};

using Half = Eigen::half;
template <class Real>
using RowsOf = Eigen::Map<const Eigen::Array<Real, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>, 0,
                          Eigen::OuterStride<>>;

/// Rows of one head as float32, without gaps.
void widen(const void* rows, bool half, std::int64_t head, std::int64_t step, std::int64_t n,
           std::int64_t width, std::vector<float>& out) {
    out.resize(static_cast<std::size_t>(n * width));
    Eigen::Map<Eigen::Array<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>> to(out.data(), n, width);
    if (half)
        to = RowsOf<Half>(static_cast<const Half*>(rows) + head, n, width, Eigen::OuterStride<>(step))
                 .cast<float>();
    else
        to = RowsOf<float>(static_cast<const float*>(rows) + head, n, width, Eigen::OuterStride<>(step));
}

/// One thread's: a head of keys and values, and the scores of one block at all query heads that read it.
class Worker {
  public:
    Worker(const Attention& attention, const Blocks& blocks)
        : a_(attention), blocks_(blocks), group_(a_.n_heads / a_.n_key_heads) {}

    void run(std::int64_t key_head, std::int64_t block) {
        const std::int64_t first = block * kBlock, n = Blocks::end(a_, block) - first, rows = n * group_;
        const Range keys = blocks_.read[static_cast<std::size_t>(block)];
        const std::int64_t n_keys = keys.end - keys.begin;
        sums_.assign(static_cast<std::size_t>(rows), 0.0f);
        given_.resize(static_cast<std::size_t>(rows * a_.value_width));
        if (!keys.empty()) {
            open(key_head);
            gather(key_head, first, n);
            const std::int64_t step = (n_keys + kAligned - 1) / kAligned * kAligned;
            if (scores_.size() < rows * step) scores_.resize(rows * step);
            product(CblasTrans, {rows, n_keys, a_.width}, queries_.data(), a_.width,
                    keys_.data() + keys.begin * a_.width, a_.width, scores_.data(), step);
            for (std::int64_t i = 0; i < rows; ++i) weigh(first + i % n, keys, i, scores_.data() + i * step);
            product(CblasNoTrans, {rows, a_.value_width, n_keys}, scores_.data(), step,
                    values_.data() + keys.begin * a_.value_width, a_.value_width, given_.data(),
                    a_.value_width);
        }
        for (std::int64_t i = 0; i < rows; ++i) {
            const std::int64_t head = key_head * group_ + i / n;
            float* to = a_.out + ((first + i % n) * a_.n_heads + head) * a_.value_width;
            const float sum = sums_[static_cast<std::size_t>(i)];
            const float* from = given_.data() + i * a_.value_width;
            const float share = sum > 0 ? 1 / sum : 0;
            for (std::int64_t d = 0; d < a_.value_width; ++d) to[d] = share > 0 ? from[d] * share : 0;
        }
    }

  private:
    void open(std::int64_t key_head) {
        if (key_head == opened_) return;
        opened_ = key_head;
        widen(a_.keys, a_.half, key_head * a_.key_head_step, a_.key_step, a_.n_keys, a_.width, keys_);
        widen(a_.values, a_.half, key_head * a_.value_head_step, a_.value_step, a_.n_keys, a_.value_width,
              values_);
    }

    /// The block's queries, head by head, times the scale.
    void gather(std::int64_t key_head, std::int64_t first, std::int64_t n) {
        queries_.resize(static_cast<std::size_t>(n * group_ * a_.width));
        float* to = queries_.data();
        for (std::int64_t g = 0; g < group_; ++g) {
            for (std::int64_t i = 0; i < n; ++i, to += a_.width) {
                const float* from = a_.queries + (first + i) * a_.query_step +
                                    (key_head * group_ + g) * a_.query_head_step;
                for (std::int64_t d = 0; d < a_.width; ++d) to[d] = from[d] * a_.scale;
            }
        }
    }

    /// Scores of one query to what they weigh, but for their sum.
    void weigh(std::int64_t query, const Range& keys, std::int64_t row, float* scores) {
        using Aligned = Eigen::Map<Eigen::ArrayXf, Eigen::AlignedMax>;
        Aligned all(scores, keys.end - keys.begin);
        const Range seen = blocks_.seen[static_cast<std::size_t>(query)];
        if (seen.empty()) {
            all.setZero();
            return;
        }
        const std::uint16_t* mask = a_.mask + query * a_.mask_step + keys.begin;
        all += Eigen::Map<const Eigen::Array<Half, Eigen::Dynamic, 1>>(reinterpret_cast<const Half*>(mask),
                                                                       all.size())
                   .cast<float>();
        const float most = all.maxCoeff();
        // Less would be no normal number, with which products are slow.
        all = (all - most).max(kLeast).exp();
        for (std::int64_t j = 0; j < seen.begin - keys.begin; ++j) all[j] = 0;
        for (std::int64_t j = seen.end - keys.begin; j < all.size(); ++j) all[j] = 0;
        for (std::int64_t j = seen.begin - keys.begin; seen.holes && j < seen.end - keys.begin; ++j)
            all[j] = mask[j] == kHiddenHalf ? 0 : all[j];
        sums_[static_cast<std::size_t>(row)] = all.sum();
    }

    struct Extents {
        std::int64_t rows, columns, inner;
    };
    static void product(CBLAS_TRANSPOSE how, const Extents& of, const float* left, std::int64_t left_step,
                        const float* right, std::int64_t right_step, float* out, std::int64_t out_step) {
        cblas_sgemm(CblasRowMajor, CblasNoTrans, how, static_cast<blasint>(of.rows),
                    static_cast<blasint>(of.columns), static_cast<blasint>(of.inner), 1, left,
                    static_cast<blasint>(left_step), right, static_cast<blasint>(right_step), 0, out,
                    static_cast<blasint>(out_step));
    }

    const Attention& a_;
    const Blocks& blocks_;
    std::int64_t group_;         // query heads that read one head of keys
    std::int64_t opened_ = -1;  // the head that keys_ and values_ hold
    std::vector<float> keys_, values_, queries_, given_, sums_;
    Eigen::ArrayXf scores_;
};

}  // namespace

void attend(const Attention& attention, int threads) {
    keep_blas_single_threaded();
    const Blocks blocks(attention);
    const std::int64_t a_head = blocks.cost.back(), all = a_head * attention.n_key_heads;
    fork_join(std::min(threads, kMostCallers), [&](int part, int n_parts) {
        const std::int64_t begin = all * part / n_parts, end = all * (part + 1) / n_parts;
        Worker worker(attention, blocks);
        for (std::int64_t head = begin / a_head; head < attention.n_key_heads && head * a_head < end; ++head) {
            for (std::int64_t block = 0; block < blocks.n; ++block) {
                // A block is its that does the last of its work.
                const std::int64_t last = head * a_head + blocks.cost[static_cast<std::size_t>(block)] - 1;
                if (last >= begin && last < end) worker.run(head, block);
            }
        }
    });
}

}  // namespace tomograph
