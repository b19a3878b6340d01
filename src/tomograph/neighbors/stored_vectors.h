#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "tomograph/neighbors/list_search.h"
#include "tomograph/neighbors/metric.h"

namespace tomograph {

/// An index's own copy of its rows, prepared, each at its position in list order; and the same in bytes,
/// where candidates are ranked by those.
class StoredVectors {
  public:
    StoredVectors() = default;
    /// Room for n rows. `center`: of their bytes; null: none are kept.
    StoredVectors(const PreparedSpace& space, std::int64_t n, const Vector* center);

    /// Read rows and put each that has a position where it belongs: position_of [n_rows], -1: nowhere.
    /// Errors: those of the source.
    void add(const RowSource& rows, const std::vector<std::int32_t>& position_of, int threads);

    /// Where neighbours lie within a few roundings of each other, bytes cannot tell which are nearest. They
    /// are dropped then. The nearest of a few rows that follow a row, which mostly share its list, stands for
    /// a neighbour.
    void drop_coarse_bytes(std::uint64_t seed);

    bool by_bytes() const { return bytes_.has_value(); }
    SearchVectors view() const { return {vectors_.get(), width_, bytes_ ? &*bytes_ : nullptr}; }

  private:
    PreparedSpace space_{Metric::euclidean, 0};
    std::int64_t n_ = 0, width_ = 0;
    Vector center_;
    FloatBuffer vectors_;  // [n, width]
    std::optional<ByteVectors> bytes_;
};

}  // namespace tomograph
