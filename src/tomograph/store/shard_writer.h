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
    /// `planned`: the manifest but for its files.
    ShardWriter(const std::filesystem::path& run, const RunPlan& plan, const ShardManifest& planned,
                WriteQueue& queue);
    /// See RunWriter::take.
    void take(std::size_t site, std::int64_t first, std::int64_t n, const float* values);
    /// What was taken has been written by the queue: write the sums, give the files their names and, last,
    /// the manifest. May run on another thread.
    ShardManifest finish(bool durable);

  private:
    std::filesystem::path run_;
    const RunPlan& plan_;
    ShardManifest manifest_;
    WriteQueue& queue_;
    std::vector<int> tensor_of_site_;  // in the vectors' file; -1: norms and sums only
    PositionSums sums_;
    std::shared_ptr<SafetensorsWriter> vectors_;  // null where the shard keeps none
    std::shared_ptr<SafetensorsWriter> stats_;    // norms of each site, then the sums
};

}  // namespace tomograph
