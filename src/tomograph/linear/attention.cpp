#include "tomograph/linear/attention.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "tomograph/base/half.h"
#include "tomograph/base/threads.h"
#include "tomograph/linear/tile.h"

namespace tomograph {
namespace {

constexpr std::uint16_t kHidden = 0xfc00;  // -infinity
constexpr float kNever = -1e30f;           // what a hidden key scores, before it is given no weight
/// Numbers of a panel: keys, or coordinates of values, that lie side by side.
constexpr std::int64_t kPanel = 32;
/// Queries that share a range of keys; whole numbers of every level's rows.
constexpr std::int64_t kRows = 12;
/// Queries that read a panel while it is in the nearest cache, and the keys that they read of it at once.
constexpr std::int64_t kBlock = 48, kDepth = 128;
static_assert(kBlock % kRows == 0);

/// Keys from the first to the last that are seen; `plain`: all in between are, and nothing is added.
struct Range {
    std::int64_t begin, end;
    bool plain = true;
    bool empty() const { return begin >= end; }
};

/// Four numbers of a mask at once.
std::uint64_t four(const std::uint16_t* mask) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, mask, sizeof bits);
    return bits;
}

Range seen_by(const Attention& a, std::int64_t query) {
    constexpr std::uint64_t all_hidden = 0xfc00fc00fc00fc00;
    const std::uint16_t* row = a.mask + query * a.mask_step;
    Range range{0, a.n_keys};
    while (range.end >= 4 && four(row + range.end - 4) == all_hidden) range.end -= 4;
    while (range.end > 0 && row[range.end - 1] == kHidden) --range.end;
    while (range.begin + 4 <= range.end && four(row + range.begin) == all_hidden) range.begin += 4;
    while (range.begin < range.end && row[range.begin] == kHidden) ++range.begin;
    std::uint64_t any = 0;
    std::int64_t i = range.begin;
    for (; i + 4 <= range.end; i += 4) any |= four(row + i);
    for (; i < range.end; ++i) any |= row[i];
    range.plain = any == 0;
    return range;
}

/// What all heads share: the keys that each query sees, and those that its neighbours and it read.
struct Plan {
    explicit Plan(const Attention& a) {
        for (std::int64_t query = 0; query < a.n_queries; ++query) seen.push_back(seen_by(a, query));
        for (std::int64_t first = 0; first < a.n_queries; first += kRows) {
            Range all{a.n_keys, 0};
            for (std::int64_t query = first; query < std::min(a.n_queries, first + kRows); ++query) {
                const Range& one = seen[static_cast<std::size_t>(query)];
                if (one.empty()) continue;
                all.begin = std::min(all.begin, one.begin / kPanel * kPanel);
                all.end = std::max(all.end, one.end);
            }
            read.push_back(all);
            if (first % kBlock == 0) cost.push_back(cost.empty() ? 0 : cost.back());
            cost.back() += std::max<std::int64_t>(1, all.end - all.begin);
        }
    }

    std::vector<Range> seen;         // by each query
    std::vector<Range> read;         // by each kRows queries; begins with a panel
    std::vector<std::int64_t> cost;  // of all blocks up to and with each
};

/// out[i * out_step + j] = or += sum over t < n of left[i * left_step + t] * panel[t * kPanel + j], for kRows
/// rows and the panel's columns.
template <int Width, int Rows, int Vectors>
[[gnu::always_inline]] inline void multiply(const float* left, std::int64_t left_step, const float* panel,
                                            std::int64_t n, float* out, std::int64_t out_step, bool add) {
    static_assert(kRows % Rows == 0 && kPanel % (Width * Vectors) == 0);
    for (std::int64_t j = 0; j < kPanel; j += Width * Vectors) {
        for (std::int64_t i = 0; i < kRows; i += Rows)
            multiply_tile<Width, Rows, Vectors>(left + i * left_step, left_step, 1, panel + j, kPanel, n,
                                                out + i * out_step + j, out_step, add);
    }
}

/// scores[0, n) become exp(score - the largest); n is a multiple of kPanel. Returns their sum, NaN where a
/// score or the largest is no number. The exponential is Cephes', right to 2e-7 of itself; below e^-80 it is
/// that, since with less products are slow.
template <int Width>
[[gnu::always_inline]] inline float weigh(float* scores, std::int64_t n) {
    using V = typename Lanes<Width>::type;
    using I = typename Lanes<Width>::mask;
    V most = kNever - V{};
    for (std::int64_t j = 0; j < n; j += Width) {
        const V s = *reinterpret_cast<const V*>(scores + j);
        most = most > s ? most : s;
    }
    float largest = kNever;
    for (int lane = 0; lane < Width; ++lane) largest = std::max(largest, most[lane]);
    V sum{};
    I bad{};
    for (std::int64_t j = 0; j < n; j += Width) {
        V x = *reinterpret_cast<const V*>(scores + j) - largest;
        bad |= x != x;
        x = x > -80.0f ? x : -80.0f - V{};
        // Adding 1.5 · 2^23 rounds to a whole number, which then sits in the low bits.
        const V shifted = x * 1.44269504f + 12582912.0f;
        const V whole = shifted - 12582912.0f;
        const V f = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;
        V p = f * 1.9875691500e-4f + 1.3981999507e-3f;
        p = p * f + 8.3334519073e-3f;
        p = p * f + 4.1665795894e-2f;
        p = p * f + 1.6666665459e-1f;
        p = p * f + 5.0000001201e-1f;
        p = p * (f * f) + f + 1.0f;
        const I bits = reinterpret_cast<I>(p) + (reinterpret_cast<I>(shifted) << 23);
        const V weight = reinterpret_cast<V>(bits);
        *reinterpret_cast<V*>(scores + j) = weight;
        sum += weight;
    }
    float all = 0;
    for (int lane = 0; lane < Width; ++lane) all += bad[lane] != 0 ? std::nanf("") : sum[lane];
    return all;
}

struct Kernels {
    void (*multiply)(const float* left, std::int64_t left_step, const float* panel, std::int64_t n,
                     float* out, std::int64_t out_step, bool add);
    float (*weigh)(float* scores, std::int64_t n);
};

void multiply_plain(const float* left, std::int64_t left_step, const float* panel, std::int64_t n, float* out,
                    std::int64_t out_step, bool add) {
    multiply<4, 6, 2>(left, left_step, panel, n, out, out_step, add);
}
float weigh_plain(float* scores, std::int64_t n) {
    return weigh<4>(scores, n);
}
#if defined(__x86_64__)
TOMOGRAPH_AVX2 void multiply_avx2(const float* left, std::int64_t left_step, const float* panel,
                                  std::int64_t n, float* out, std::int64_t out_step, bool add) {
    multiply<8, 6, 2>(left, left_step, panel, n, out, out_step, add);
}
TOMOGRAPH_AVX2 float weigh_avx2(float* scores, std::int64_t n) {
    return weigh<8>(scores, n);
}
TOMOGRAPH_AVX512 void multiply_avx512(const float* left, std::int64_t left_step, const float* panel,
                                      std::int64_t n, float* out, std::int64_t out_step, bool add) {
    multiply<16, 12, 2>(left, left_step, panel, n, out, out_step, add);
}
TOMOGRAPH_AVX512 float weigh_avx512(float* scores, std::int64_t n) {
    return weigh<16>(scores, n);
}
#endif

Kernels kernels_of([[maybe_unused]] SimdLevel level) {
#if defined(__x86_64__)
    if (level >= SimdLevel::avx512) return {multiply_avx512, weigh_avx512};
    if (level == SimdLevel::avx2) return {multiply_avx2, weigh_avx2};
#endif
    return {multiply_plain, weigh_plain};
}

std::int64_t panels_of(std::int64_t n) {
    return (n + kPanel - 1) / kPanel;
}

/// One thread's: a head of keys and values in panels, and the scores of one block of queries.
class Worker {
  public:
    Worker(const Attention& attention, const Plan& plan, const Kernels& kernels)
        : a_(attention),
          plan_(plan),
          kernels_(kernels),
          // Rows whose lengths are powers of two would share few places of the cache.
          step_(panels_of(a_.n_keys) * kPanel + 16),
          out_step_(panels_of(a_.value_width) * kPanel),
          keys_(static_cast<std::size_t>(panels_of(a_.n_keys) * kPanel * a_.width)),
          values_(static_cast<std::size_t>(out_step_ * a_.n_keys)),
          queries_(static_cast<std::size_t>(kBlock * a_.width)),
          scores_(static_cast<std::size_t>(kBlock * step_)),
          given_(static_cast<std::size_t>(kBlock * out_step_)) {}

    /// The queries of a block, at every head that reads this head of keys.
    void run(std::int64_t key_head, std::int64_t block) {
        open(key_head);
        const std::int64_t group = a_.n_heads / a_.n_key_heads, first = block * kBlock;
        const std::int64_t n = std::min(kBlock, a_.n_queries - first);
        for (std::int64_t head = key_head * group; head < (key_head + 1) * group; ++head) {
            gather(head, first, n);
            score(first, n);
            for (std::int64_t i = 0; i < n; ++i) sums_[i] = weigh(first + i, i);
            give(first, n);
            for (std::int64_t i = 0; i < n; ++i) {
                float* to = a_.out + ((first + i) * a_.n_heads + head) * a_.value_width;
                const float* from = given_.data() + i * out_step_;
                const float share = sums_[i] == 0 ? 0 : 1 / sums_[i];
                for (std::int64_t d = 0; d < a_.value_width; ++d) to[d] = from[d] * share;
            }
        }
    }

  private:
    /// Row `i` of a head as float32, of `width` numbers.
    const float* widened(const void* rows, std::int64_t at, std::int64_t width) {
        if (!a_.half) return static_cast<const float*>(rows) + at;
        row_.resize(static_cast<std::size_t>(width));
        from_f16(static_cast<const std::uint16_t*>(rows) + at, row_.data(), row_.size());
        return row_.data();
    }

    void open(std::int64_t head) {
        if (head == opened_) return;
        opened_ = head;
        finite_ = true;
        for (std::int64_t i = 0; i < a_.n_keys; ++i) {
            const float* key = widened(a_.keys, head * a_.key_head_step + i * a_.key_step, a_.width);
            float* to = keys_.data() + i / kPanel * kPanel * a_.width + i % kPanel;
            for (std::int64_t t = 0; t < a_.width; ++t) to[t * kPanel] = key[t];
            const float* value =
                widened(a_.values, head * a_.value_head_step + i * a_.value_step, a_.value_width);
            float all = 0;
            for (std::int64_t d = 0; d < a_.value_width; d += kPanel) {
                const std::int64_t n = std::min(kPanel, a_.value_width - d);
                std::copy_n(value + d, n, values_.data() + d * a_.n_keys + i * kPanel);
                for (std::int64_t j = 0; j < n; ++j) all += value[d + j] * 0;
            }
            finite_ = finite_ && all == 0;
        }
    }

    /// The block's queries at one head times the scale. What is behind them is multiplied and not used.
    void gather(std::int64_t head, std::int64_t first, std::int64_t n) {
        for (std::int64_t i = 0; i < n; ++i) {
            const float* from = a_.queries + (first + i) * a_.query_step + head * a_.query_head_step;
            float* to = queries_.data() + i * a_.width;
            for (std::int64_t t = 0; t < a_.width; ++t) to[t] = from[t] * a_.scale;
        }
    }

    const Range& read_by(std::int64_t query) const {
        return plan_.read[static_cast<std::size_t>(query / kRows)];
    }

    void score(std::int64_t first, std::int64_t n) {
        for (std::int64_t key = 0; key < a_.n_keys; key += kPanel) {
            for (std::int64_t i = 0; i < n; i += kRows) {
                const Range& range = read_by(first + i);
                if (key < range.begin || key >= range.end) continue;
                kernels_.multiply(queries_.data() + i * a_.width, a_.width, keys_.data() + key * a_.width,
                                  a_.width, scores_.data() + i * step_ + key, step_, false);
            }
        }
    }

    /// Scores of one query, `row` of the block, to what they weigh, but for their sum, which is returned.
    float weigh(std::int64_t query, std::int64_t row) {
        const Range &seen = plan_.seen[static_cast<std::size_t>(query)], &all = read_by(query);
        if (all.empty()) return 0;
        const std::int64_t end = panels_of(all.end) * kPanel;
        float* scores = scores_.data() + row * step_;
        if (seen.empty()) {
            std::fill(scores + all.begin, scores + end, 0.0f);
            return 0;
        }
        const std::uint16_t* mask = a_.mask + query * a_.mask_step;
        std::fill(scores + all.begin, scores + seen.begin, kNever);
        std::fill(scores + seen.end, scores + end, kNever);
        for (std::int64_t j = seen.begin; !seen.plain && j < seen.end; ++j) {
            float bias = 0;
            from_f16(mask + j, &bias, 1);
            scores[j] = mask[j] == kHidden ? kNever : scores[j] + bias;
        }
        const float sum = kernels_.weigh(scores + all.begin, end - all.begin);
        std::fill(scores + all.begin, scores + seen.begin, 0.0f);
        std::fill(scores + seen.end, scores + end, 0.0f);
        for (std::int64_t j = seen.begin; !seen.plain && j < seen.end; ++j)
            scores[j] = mask[j] == kHidden ? 0 : scores[j];
        return sum;
    }

    void give(std::int64_t first, std::int64_t n) {
        std::fill(given_.begin(), given_.end(), 0.0f);
        if (!finite_) return give_one_by_one(first, n);
        for (std::int64_t d = 0; d < a_.value_width; d += kPanel) {
            for (std::int64_t begin = 0; begin < a_.n_keys; begin += kDepth) {
                const float* panel = values_.data() + d * a_.n_keys;
                for (std::int64_t i = 0; i < n; i += kRows) {
                    const Range& range = read_by(first + i);
                    const std::int64_t from = std::max(begin, range.begin);
                    const std::int64_t to = std::min(begin + kDepth, range.end);
                    if (from >= to) continue;
                    kernels_.multiply(scores_.data() + i * step_ + from, step_, panel + from * kPanel,
                                      to - from, given_.data() + i * out_step_ + d, out_step_, true);
                }
            }
        }
    }

    /// Where some value is infinite, zero times it is not zero: each query over its own keys alone.
    void give_one_by_one(std::int64_t first, std::int64_t n) {
        for (std::int64_t i = 0; i < n; ++i) {
            const Range& seen = plan_.seen[static_cast<std::size_t>(first + i)];
            for (std::int64_t d = 0; d < a_.value_width; d += kPanel) {
                const float* panel = values_.data() + d * a_.n_keys;
                float* to = given_.data() + i * out_step_ + d;
                for (std::int64_t j = seen.begin; j < seen.end; ++j) {
                    const float weight = scores_[static_cast<std::size_t>(i * step_ + j)];
                    for (std::int64_t c = 0; weight > 0 && c < kPanel; ++c)
                        to[c] += weight * panel[j * kPanel + c];
                }
            }
        }
    }

    const Attention& a_;
    const Plan& plan_;
    const Kernels& kernels_;
    std::int64_t step_, out_step_;  // from one query's scores, or what it gives, to the next
    std::int64_t opened_ = -1;      // the head that keys_ and values_ hold
    bool finite_ = true;            // are its values?
    std::vector<float> keys_;       // panels of kPanel keys, [width, kPanel] each; zeros make the last whole
    std::vector<float> values_;     // panels of kPanel coordinates, [n_keys, kPanel] each, likewise
    std::vector<float> queries_, scores_, given_, row_;
    float sums_[kBlock];
};

}  // namespace

void attend(const Attention& attention, int threads, SimdLevel level) {
    const Plan plan(attention);
    const Kernels kernels = kernels_of(level);
    const std::int64_t a_head = plan.cost.back(), all = a_head * attention.n_key_heads;
    fork_join(threads, [&](int part, int n_parts) {
        const std::int64_t begin = all * part / n_parts, end = all * (part + 1) / n_parts;
        Worker worker(attention, plan, kernels);
        for (std::int64_t head = begin / a_head; head < attention.n_key_heads && head * a_head < end;
             ++head) {
            for (std::size_t block = 0; block < plan.cost.size(); ++block) {
                // A block is its that does the last of its work.
                const std::int64_t last = head * a_head + plan.cost[block] - 1;
                if (last >= begin && last < end) worker.run(head, static_cast<std::int64_t>(block));
            }
        }
    });
}

}  // namespace tomograph
