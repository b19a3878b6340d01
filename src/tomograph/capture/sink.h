#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "tomograph/capture/plan.h"
#include "tomograph/capture/write_queue.h"
#include "tomograph/store/safetensors.h"

namespace tomograph {

/// Norms of every token at every site, and running means by position, written as the model goes. The means
/// are a file mapped into memory, so that they take no more of it than the system can spare.
class StatsSink {
  public:
    StatsSink(const std::filesystem::path& folder, const CapturePlan& plan, std::span<const SiteShape> sites);
    ~StatsSink();
    /// Tokens [first, first + n) of site number `site`; values [n, width].
    void take(std::size_t site, std::int64_t first, std::int64_t n, std::int64_t width, const float* values);
    void finish();

  private:
    const CapturePlan& plan_;
    SafetensorsWriter norms_;
    SafetensorsWriter means_;
    std::byte* mapped_ = nullptr;
    std::vector<float> row_norms_;
};

/// One file of vectors, filled in whatever order sites and batches come.
class ShardSink {
  public:
    ShardSink(const std::filesystem::path& path, const CapturePlan& plan, const CapturePlan::Shard& shard,
              std::span<const SiteShape> sites, Dtype dtype, WriteQueue& queue);
    /// As StatsSink::take. Errors: Error with the site's name when a value overflows float16.
    void take(std::size_t site, std::int64_t first, std::int64_t n, std::int64_t width, const float* values);
    /// Wait for the queue and give the file its name. Returns its entry for run.json.
    Json finish();

  private:
    std::filesystem::path path_;
    const CapturePlan& plan_;
    std::span<const SiteShape> sites_;
    Dtype dtype_;
    WriteQueue& queue_;
    std::int64_t first_token_;
    std::vector<std::int32_t> row_of_token_;  // within the shard, by token since first_token_: rows before it
    std::int64_t n_rows_;
    std::vector<int> tensor_of_site_;  // -1: norms and means only
    std::shared_ptr<SafetensorsWriter> file_;
};

}  // namespace tomograph
