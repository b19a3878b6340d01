#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tomograph/base/matrix.h"
#include "tomograph/store/safetensors.h"
#include "tomograph/words/site.h"

namespace tomograph {

/// Sums of a shard's vectors by position, at every site: what the means are made of. Sums of shards can be
/// added, in any number of shards, and lose nothing: each was formed in float64, or in float32 where no more
/// than kNarrowCount vectors meet at a position, and is rounded once when it is written.
///
/// Memory: one table [positions, width] a site, for the positions of this shard alone, 4 bytes an entry (8 in
/// float64), from the site's first vector until write().
class PositionSums {
  public:
    static constexpr std::int32_t kNarrowCount = 64;

    /// `position`: of each of the shard's tokens; -1: it stays out of the means.
    PositionSums(std::span<const std::int32_t> position, std::vector<SiteShape> sites);

    /// Before the first vectors of a site.
    void open(std::size_t site);
    /// Do tokens [first, first + n) of the shard stand at positions that ascend, so that no two meet?
    bool apart(std::int64_t first, std::int64_t n) const;
    /// Coordinates [begin, end) of vectors [n, width] of the shard's tokens [first, first + n) at a site.
    /// Threads may add other coordinates, or tokens at other positions, at the same time.
    void add(std::size_t site, std::int64_t first, std::int64_t n, const float* values, std::int64_t begin,
             std::int64_t end);

    /// positions, counts, and the sums of each site.
    std::vector<TensorSpec> tensors() const;
    /// Into tensors [first, …) of `file`; the tables are gone afterwards.
    void write(SafetensorsWriter& file, std::size_t first);

  private:
    template <class Real>
    void add_rows(std::vector<Real>& table, std::int64_t first, std::int64_t n, std::int64_t width,
                  const float* values, std::int64_t begin, std::int64_t end) const;

    std::vector<SiteShape> sites_;
    std::vector<std::int32_t> slot_;  // per token: place of its position among positions_; -1: none
    std::vector<std::int32_t> positions_, counts_;
    bool wide_ = false;
    std::vector<std::vector<float>> narrow_sums_;  // per site; one of the two is in use
    std::vector<std::vector<double>> wide_sums_;
};

/// Means of one site at positions [begin, end), from the stats files of shards, in their order, in float64.
class MeanBuilder {
  public:
    MeanBuilder(const SiteShape& site, std::int64_t begin, std::int64_t end);
    /// Errors: Error naming the file when its sums are not of this site.
    void add(const Safetensors& stats);
    /// [end - begin, width]; 0 where no vector was added.
    Matrix means() const;

  private:
    SiteShape site_;
    std::string tensor_;
    std::int64_t begin_;
    MatrixD sums_;
    VectorD counts_;
};

}  // namespace tomograph
