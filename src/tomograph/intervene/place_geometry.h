#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "tomograph/base/matrix.h"
#include "tomograph/engine/engine.h"
#include "tomograph/intervene/sweep.h"
#include "tomograph/intervene/writer.h"

namespace tomograph {

/// Some sites' values for the tokens of one batch.
class BatchValues final : public Tap {
  public:
    /// `kept` are indices into the engine's sites, in the order in which a plan reads them.
    BatchValues(std::span<const SiteShape> sites, const std::vector<std::size_t>& kept,
                std::int64_t n_tokens);
    void take(const SiteBatch& batch) override;
    /// [n_tokens, width]
    std::span<const float> of(std::size_t site) const;
    std::int64_t width(std::size_t site) const { return values_[place_.at(site)].width; }

  private:
    struct Values {
        std::int64_t width;
        std::vector<float> data;
    };
    std::map<std::size_t, std::size_t> place_;
    std::vector<Values> values_;
};

/// What is seen of some columns of a site (or of the sum of several sites), gathered batch by batch. Norms
/// are of all tokens; what needs rows is of at most 512, drawn by seed. First tokens only count for
/// `first_token`: where they are a sink they would be all that is seen.
class PlaceGeometry {
  public:
    PlaceGeometry(std::int64_t width, std::int64_t first_column, std::int64_t n_tokens, std::uint64_t seed);
    void add(const BatchValues& values, const std::vector<std::size_t>& sites, std::size_t stream,
             std::span<const TokenPlace> places);
    std::array<double, kGeometries> values() const;

  private:
    std::int64_t width_, first_column_;
    double keep_;  // fraction of the tokens
    std::uint64_t seed_;
    double norm_ = 0, first_norm_ = 0, stream_norm_ = 0;
    std::int64_t n_ = 0, n_first_ = 0;
    std::vector<float> rows_;
};

}  // namespace tomograph
