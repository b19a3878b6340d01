#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tomograph/store/run_writer.h"
#include "tomograph/store/sums.h"

namespace tomograph {

/// The files of one shard while it fills. They have temporary names until finish().
class ShardWriter {
  public:
    /// `stored`: as RunPlan::stored, of this shard. `planned`: the manifest but for its files.
    ShardWriter(const std::filesystem::path& run, const RunPlan& plan,
                std::vector<std::optional<Dtype>> stored, const ShardManifest& planned, WriteQueue& queue,
                int threads);
    /// See RunWriter::take.
    void take(std::size_t site, std::int64_t first, std::int64_t n, const float* values);
    /// See RunWriter::take_scores.
    void take_scores(std::size_t score, std::int64_t first, std::int64_t n, const float* values);
    /// What was taken has been written by the queue: write the sums, give the files their names and, last,
    /// the manifest. May run on another thread.
    ShardManifest finish(bool durable);

  private:
    void convert_rows(std::size_t site, std::int64_t first, const float* values, std::int64_t begin,
                      std::int64_t end, std::byte* out, std::int64_t& bad) const;

    std::filesystem::path run_;
    const RunPlan& plan_;
    std::vector<std::optional<Dtype>> stored_;
    ShardManifest manifest_;
    WriteQueue& queue_;
    int threads_;
    std::vector<int> tensor_of_site_;  // in the vectors' file; -1: norms and sums only
    PositionSums sums_;
    std::shared_ptr<SafetensorsWriter> vectors_;  // null where the shard keeps none
    std::shared_ptr<SafetensorsWriter> stats_;    // norms of each site, then the scores, then the sums
};

}  // namespace tomograph
