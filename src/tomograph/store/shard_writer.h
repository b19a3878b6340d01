#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
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
    void take(std::size_t site, std::int64_t first, std::int64_t n, const float* values,
              const Scored& scored);
    /// See RunWriter::take_moments.
    void take_moments(std::size_t site, const SiteMoments& moments);
    /// See RunWriter::take_scores.
    void take_scores(std::size_t score, std::int64_t first, std::int64_t n, const float* values);
    /// What was taken has been written by the queue: write the sums, give the files their names and, last,
    /// the manifest. May run on another thread.
    ShardManifest finish(bool durable);

  private:
    /// The kept ones of tokens [first, first + n) on their way into a file: `width` numbers of each.
    struct Rows {
        std::size_t site;
        std::int64_t first, n, width;
        std::int64_t first_row = -1;       ///< in the run; -1: none is kept
        std::vector<std::int64_t> before;  ///< of each token: how many before it are kept
        WriteQueue::Buffer bytes;
        std::vector<std::int64_t> bad;  ///< of each thread: the first number that the type cannot hold, or -1
    };
    Rows begin_rows(std::size_t site, std::int64_t first, std::int64_t n, std::int64_t width);
    /// Tokens [begin, end) of them, on thread `part`; several threads may do so at once.
    void convert_rows(Rows& rows, std::int64_t begin, std::int64_t end, const float* numbers, int part) const;
    /// All of them, divided by `scale`.
    void write_scaled(Rows rows, std::size_t tensor, const float* numbers, float scale);
    /// They go to the queue. Errors: Float16Overflow. `numbers` times `scale` are what was to be kept.
    void end_rows(Rows rows, std::size_t tensor, const float* numbers, float scale);
    int threads_for(std::int64_t numbers) const;

    std::filesystem::path run_;
    const RunPlan& plan_;
    std::vector<std::optional<Dtype>> stored_;
    ShardManifest manifest_;
    WriteQueue& queue_;
    int threads_;
    std::vector<int> tensor_of_site_;             // in the vectors' file; -1: norms and sums only
    PositionSums sums_;                           // of no site where the plan keeps no means
    std::shared_ptr<SafetensorsWriter> vectors_;  // null where the shard keeps none
    std::shared_ptr<SafetensorsWriter> moments_;  // null where the plan keeps none
    std::vector<std::size_t> moments_of_site_;    // its first tensor there
    std::shared_ptr<SafetensorsWriter> stats_;    // norms of each site, then the scores, then the sums
};

}  // namespace tomograph
