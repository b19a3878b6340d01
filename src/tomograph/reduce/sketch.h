#pragma once
#include <cstdint>

#include "tomograph/base/matrix.h"
#include "tomograph/reduce/metric.h"
#include "tomograph/reduce/panels.h"

namespace tomograph {

/// A shorter description of prepared vectors for finding candidates: their leading principal components,
/// fitted to a sample. Activations have few strong directions, so a fraction of the coordinates keeps most of
/// every distance; candidates are then compared in full. Where the spectrum is flat the sketch is the whole
/// (centred) vector.
class Sketch {
  public:
    struct Options {
        /// Share of the sample's variance to keep. 1: whole vectors, only centred.
        double share = 0.8;
        std::int64_t sample_rows = 4096;
        std::uint64_t seed = 0;
        int threads = 0;
    };
    Sketch(const RowSource& rows, const PreparedSpace& space, const Options& options);

    /// Floats per sketched row.
    std::int64_t width() const { return width_; }
    /// prepared [n, space width] -> out [n, width] and half_norms [n], half their squared lengths:
    /// out_i . out_j - half_norms_j then ranks j by distance from i.
    void apply(const float* prepared, std::int64_t n, float* out, float* half_norms) const;
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
