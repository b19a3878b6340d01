#pragma once
#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>
#include <vector>

#include "tomograph/linear/panels.h"
#include "tomograph/neighbors/distances.h"

namespace tomograph {

/// The best few of what one query has seen, by score, best first. Equal scores keep the order of arrival.
class BestScores {
  public:
    void reset(std::int64_t capacity) {
        scores_.assign(capacity, -std::numeric_limits<float>::infinity());
        ids_.assign(capacity, -1);
    }
    float worst() const { return scores_.back(); }
    void insert(float score, std::int32_t id) {
        std::size_t i = scores_.size() - 1;
        for (; i > 0 && score > scores_[i - 1]; --i) {
            scores_[i] = scores_[i - 1];
            ids_[i] = ids_[i - 1];
        }
        scores_[i] = score;
        ids_[i] = id;
    }
    /// 48 values: those of vectors first_id, first_id + 1, ... score scores[j] - minus[j]; only the first n
    /// count, and `skip` does not.
    void offer(const float* scores, const float* minus, std::int64_t n, std::int32_t first_id,
               std::int32_t skip) {
        auto bits = above(scores, minus, worst());
        if (n < panel_width) bits &= (std::uint64_t{1} << n) - 1;
        for (; bits; bits &= bits - 1) {
            const int j = std::countr_zero(bits);
            const float score = scores[j] - minus[j];
            if (score > worst() && first_id + j != skip) insert(score, first_id + j);
        }
    }
    /// How many were found; their ids and scores, best first.
    std::int64_t count() const { return std::find(ids_.begin(), ids_.end(), -1) - ids_.begin(); }
    const std::vector<std::int32_t>& ids() const { return ids_; }
    const std::vector<float>& scores() const { return scores_; }

  private:
    std::vector<float> scores_;
    std::vector<std::int32_t> ids_;
};

}  // namespace tomograph
