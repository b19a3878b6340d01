#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "tomograph/base/matrix.h"
#include "tomograph/linear/panels.h"

namespace tomograph {

/// Vectors as bytes, each with a scale of its own: a quarter of the memory to move, and where the processor
/// multiplies bytes (best with AVX-512 VNNI) a quarter of the time. The neighbour search ranks candidates by
/// them and compares the best in full. All sums are of whole numbers, so every processor agrees on them; the
/// scores that are made of them may differ in the last bit, where a product is fused with a sum.
///
/// Before rounding, each 64 coordinates are mixed by a Hadamard transform, which keeps all distances: the few
/// massive coordinates of activations would otherwise set the scale and round all others away.
class ByteVectors {
  public:
    ByteVectors() = default;
    /// Room for n vectors of `dim` coordinates.
    ByteVectors(std::int64_t n, std::int64_t dim);

    /// Encode the first `dim` coordinates of `vector`, less `center` [at least dim]. Different positions may
    /// be set at the same time.
    void set(std::int64_t position, const float* vector, const Vector& center);

    /// What vectors are rounded to: one unit of a code.
    float step(std::int64_t position) const { return scales_[position]; }

    /// out[i * stride + j] = -1/2 |queries_(first_query + i) - this_(first + j)|^2, roughly, for i <
    /// n_queries and j < n. `stride` is at least n and a multiple of 16; what lies between n and stride is
    /// undefined.
    void score_tile(const ByteVectors& queries, std::int64_t first_query, std::int64_t n_queries,
                    std::int64_t first, std::int64_t n, std::int64_t stride, float* out,
                    SimdLevel level = simd_level()) const;

    /// out[j] = the same for one query and scattered vectors ids[j], j < n. Fetches ahead.
    void score_ids(const ByteVectors& queries, std::int64_t query, const std::int32_t* ids, std::int64_t n,
                   float* out, SimdLevel level = simd_level()) const;

  private:
    friend struct ByteKernels;
    std::int64_t dim_ = 0;
    std::int64_t width_ = 0;                             // bytes of a vector: dim up to a multiple of 64
    std::unique_ptr<std::int8_t[], FreeDeleter> codes_;  // [n, width]
    std::vector<float> scales_;       // [n + 4, read in fours] what one unit of a code stands for
    std::vector<float> half_norms_;   // [n + 4] half the squared length of what is encoded
    std::vector<std::int32_t> sums_;  // [n + 4] of a vector's codes
};

}  // namespace tomograph
