#pragma once
#include <cstdint>
#include <mutex>

#include "tomograph/base/progress.h"

namespace tomograph {

/// Counts what several threads complete and tells `progress`, which need not be safe to share: one update at
/// a time, and the number never falls.
class ProgressCount {
  public:
    explicit ProgressCount(Progress& progress) : progress_(progress) {}
    void add(std::int64_t n = 1) {
        const std::lock_guard lock(mutex_);
        done_ += n;
        progress_.update(done_);
    }

  private:
    Progress& progress_;
    std::mutex mutex_;
    std::int64_t done_ = 0;
};

}  // namespace tomograph
