#pragma once
#include <cstdint>
#include <vector>

#include "tomograph/linear/moments.h"
#include "tomograph/store/run_writer.h"

namespace tomograph {

/// Moments of a shard's vectors while the model reads. Each piece that the engine hands over is taken on its
/// own and merged, so that where shards and parts begin changes the last bits of float64 only.
class ShardMoments {
  public:
    ShardMoments(const RunPlan& plan, int threads) : plan_(plan), threads_(threads) {}

    void begin() { sites_.assign(plan_.sites.size(), {}); }
    /// Tokens [first, first + n) of the run at a site; `scored` where the plan has a basis.
    void add(std::size_t site, std::int64_t first, std::int64_t n, const float* values, const Scored& scored);
    /// To the open shard.
    void write(RunWriter& writer);

  private:
    const RunPlan& plan_;
    int threads_;
    std::vector<SiteMoments> sites_;
    Matrix rows_, scores_;  // the ones that count
};

}  // namespace tomograph
