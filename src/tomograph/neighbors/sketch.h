#pragma once
#include <cstdint>

#include "tomograph/base/matrix.h"
#include "tomograph/linear/panels.h"
#include "tomograph/neighbors/metric.h"

namespace tomograph {

/// A short description of prepared vectors, for putting them into lists: their parts along 96 leading
/// directions of a sample, nearly its principal components. Vectors not longer than that are taken whole,
/// only centred.
class Sketch {
  public:
    struct Options {
        std::int64_t sample_rows = 4096;
        std::uint64_t seed = 0;
        int threads = 0;
    };
    /// Errors: those of PreparedSpace::read; Error when all of the sample lies so close together that float32
    /// cannot tell distances.
    Sketch(const RowSource& rows, const PreparedSpace& space, const Options& options);

    /// Floats per sketched row.
    std::int64_t width() const { return width_; }
    /// prepared [n, space width] -> out [n, width] and half_norms [n], half their squared lengths:
    /// out_i . out_j - half_norms_j ranks j by distance from i.
    void apply(const float* prepared, std::int64_t n, float* out, float* half_norms) const;
    /// Median of each of the sample's coordinates [space width].
    const Vector& center() const { return center_; }
    /// Median length of the sample's vectors from the centre.
    float typical_norm() const { return typical_norm_; }

  private:
    bool whole() const { return basis_ == nullptr; }

    std::int64_t full_width_;
    std::int64_t width_;
    float typical_norm_ = 1;
    Vector center_;      // [full_width] median of each coordinate: massive rows do not drag it along
    FloatBuffer basis_;  // panels of components, each [full_width, 48]; null when whole
};

}  // namespace tomograph
