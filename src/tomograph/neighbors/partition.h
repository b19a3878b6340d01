#pragma once
#include <cstdint>
#include <vector>

#include "tomograph/neighbors/duplicates.h"
#include "tomograph/neighbors/lists.h"
#include "tomograph/neighbors/sketch.h"

namespace tomograph {

/// Sketches of some rows, and hashes that tell equal rows.
struct Sketched {
    FloatBuffer sketches;           // [n, sketch width]
    std::vector<float> half_norms;  // [n]
    std::vector<RowHash> hashes;    // [n]; empty unless asked for

    /// Only the first of each group of equal rows, moved forward in place.
    void keep_distinct(std::int64_t width, const Duplicates& duplicates);
};

/// Which list a row belongs to, and which lists its neighbours may be in: a sketch fitted to a sample of the
/// rows, and k-means on the sketches of all of them.
class Partition {
  public:
    /// Fits the sketch; fit() then makes the lists. Errors: those of Sketch.
    Partition(const RowSource& rows, const PreparedSpace& space, std::uint64_t seed, int threads);

    /// Rows [begin, end) of a source in this space, prepared into `prepared_out` [end - begin, width] unless
    /// that is null. Errors: those of PreparedSpace::read.
    Sketched sketch(const RowSource& rows, std::int64_t begin, std::int64_t end, bool with_hashes,
                    float* prepared_out) const;

    /// Lists of n sketched rows, by k-means: the partition's own from now on.
    const Lists& fit(const Sketched& sketched, std::int64_t n);
    /// Other rows among the same lists.
    Lists assign(const Sketched& sketched, std::int64_t n) const;
    /// For each bundle of rows sketched and grouped into `lists`, the lists nearest to it, so many that they
    /// hold about `rows_compared` rows, more where lists are longer than those of 100,000 rows: [n_bundles,
    /// n_probes].
    std::vector<std::int32_t> probes(const Lists& lists, const Sketched& sketched,
                                     std::int64_t rows_compared) const;
    std::int64_t n_probes(std::int64_t rows_compared) const;

    const Lists& lists() const { return lists_; }
    const Centroids& centroids() const { return centroids_; }
    std::int64_t sketch_width() const { return sketch_.width(); }
    /// Of the sample's rows (Sketch::center).
    const Vector& center() const { return sketch_.center(); }

  private:
    Squash squash() const { return {sketch_.typical_norm()}; }
    FloatBuffer squash_all(const Sketched& sketched, std::int64_t n) const;

    PreparedSpace space_;
    std::uint64_t seed_;
    int threads_;
    Sketch sketch_;
    Centroids centroids_;
    Lists lists_;
};

}  // namespace tomograph
