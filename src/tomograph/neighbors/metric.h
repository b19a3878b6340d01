#pragma once
#include <cstdint>
#include <string>

#include "tomograph/base/rows.h"
#include "tomograph/linear/panels.h"

namespace tomograph {

/// How far apart two vectors are. Under cosine and correlation, two vectors without a direction (zero;
/// constant) are at distance 0, and such a one is at distance 1 from everything else, as in umap-learn.
enum class Metric {
    cosine,       ///< 1 - a.b / (|a| |b|), in [0, 2]
    euclidean,    ///< |a - b|
    correlation,  ///< cosine of (a - mean of a's coordinates) and (b - mean of b's)
};

/// "cosine", "euclidean", "correlation".
const char* metric_name(Metric metric);
/// Errors: Error listing the names.
Metric parse_metric(const std::string& name);

/// Every metric here is the euclidean distance between suitably prepared vectors: unit vectors for cosine and
/// correlation (|a - b|^2 = 2 (1 - a.b)). All searching is done on those. A vector without a direction
/// becomes a unit vector along one extra coordinate, orthogonal to all others.
class PreparedSpace {
  public:
    PreparedSpace(Metric metric, std::int64_t dim) : metric_(metric), dim_(dim) {}

    Metric metric() const { return metric_; }
    /// Coordinates of a row given.
    std::int64_t dim() const { return dim_; }
    /// Floats of a prepared row: dim, the extra coordinate, and zeros up to a multiple of 16.
    std::int64_t width() const { return (dim_ + (metric_ != Metric::euclidean) + 15) / 16 * 16; }

    /// rows [n, dim] -> out [n, width].
    void prepare(const float* rows, std::int64_t n, float* out) const;
    /// Read rows [begin, end) and prepare them; out [end - begin, width]. Errors: NonFinite naming the row;
    /// Error for values whose squares no float32 holds, where they would be needed (euclidean).
    void read(const RowSource& rows, std::int64_t begin, std::int64_t end, float* out) const;

    /// The metric's distance from the squared euclidean one between prepared vectors.
    float distance(float squared) const;

  private:
    Metric metric_;
    std::int64_t dim_;
};

}  // namespace tomograph
