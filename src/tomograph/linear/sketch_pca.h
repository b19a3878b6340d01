#pragma once
#include <cstdint>

#include "tomograph/base/matrix.h"

namespace tomograph {

/// The leading axes of rows that are seen once and not kept, in memory of a few of them: a test matrix is
/// taken from a sample of the first rows, the covariance's product with it is added up over all, and the axes
/// follow by Nyström's approximation (Halko, Martinsson & Tropp 2011, "Finding structure with
/// randomness", 5.5). With leading axes of the sample as test directions, it is a step of subspace iteration
/// ahead of a random one. Memory: two float32 matrices [k + 16, d] a sketch.
class SketchPca {
  public:
    /// At most `k` axes of rows of length `d`.
    SketchPca(std::int64_t d, std::int64_t k, std::uint64_t seed) : d_(d), k_(k), seed_(seed) {}

    /// Rows [n, d] that follow the ones before. Rows that are not finite are passed over.
    void add(const float* rows, std::int64_t n);
    std::int64_t count() const { return count_; }

    struct Axes {
        Vector mean;        ///< [d]; 0 where no row was seen
        Matrix components;  ///< [1 to k, d], orthonormal rows, largest variance first
        VectorD squares;    ///< [k] sum over the rows of their squared scores
        double largest =
            0;  ///< square root of the largest axis' sum of squares: no score of the rows is larger
    };
    /// Rows without variance have one axis, a coordinate's.
    Axes finish() const;

  private:
    void begin(const Matrix& rows);

    std::int64_t d_, k_, count_ = 0;
    std::uint64_t seed_;
    Vector center_;    // near the mean: it costs the sums fewer digits
    VectorD offset_;   // [d] sum of rows less the centre
    Matrix test_;      // [r, d]
    Matrix products_;  // [r, d] sum of (test (x - c)) (x - c)^T
};

}  // namespace tomograph
