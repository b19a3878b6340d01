#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "tomograph/base/rows.h"

namespace tomograph {

/// Some rows of another source, in ascending order.
class SubsetRows final : public RowSource {
  public:
    SubsetRows(const RowSource& rows, std::vector<std::int64_t> chosen)
        : rows_(rows), chosen_(std::move(chosen)) {}
    std::int64_t n_rows() const override { return static_cast<std::int64_t>(chosen_.size()); }
    std::int64_t dim() const override { return rows_.dim(); }
    void read(std::int64_t begin, std::int64_t end, float* out) const override {
        // Runs of neighbours are read together: a sample of half of the rows still has many.
        for (std::int64_t i = begin; i < end;) {
            std::int64_t stop = i + 1;
            while (stop < end && row(stop) == row(i) + stop - i) ++stop;
            rows_.read(row(i), row(i) + stop - i, out + (i - begin) * dim());
            i = stop;
        }
    }
    std::int64_t row(std::int64_t i) const { return chosen_[static_cast<std::size_t>(i)]; }
    const std::vector<std::int64_t>& chosen() const { return chosen_; }

  private:
    const RowSource& rows_;
    std::vector<std::int64_t> chosen_;
};

/// Rows of another source that are let go of on the way: whenever reading has mapped some 64 MB, `release` is
/// called, which gives back what the process holds of the files.
class PassingRows final : public RowSource {
  public:
    PassingRows(const RowSource& rows, std::function<void()> release)
        : rows_(rows), release_(std::move(release)) {}
    std::int64_t n_rows() const override { return rows_.n_rows(); }
    std::int64_t dim() const override { return rows_.dim(); }
    void read(std::int64_t begin, std::int64_t end, float* out) const override {
        rows_.read(begin, end, out);
        // The system maps what lies around a page as well: a row here and there soon maps the whole file.
        constexpr std::int64_t kHeld = 64 << 20, kAround = 64 << 10;
        const std::int64_t bytes = (end - begin) * dim() * static_cast<std::int64_t>(sizeof(float)) + kAround;
        if ((read_ += bytes) < kHeld) return;
        read_ = 0;
        release_();
    }
    const float* data() const override { return rows_.data(); }

  private:
    const RowSource& rows_;
    std::function<void()> release_;
    mutable std::atomic<std::int64_t> read_{0};
};

}  // namespace tomograph
