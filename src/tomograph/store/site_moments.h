#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "tomograph/base/matrix.h"
#include "tomograph/store/safetensors.h"
#include "tomograph/words/site.h"

namespace tomograph {

/// First and second moments of a site's vectors, as a shard keeps them. Those of several shards merge without
/// the vectors.
struct SiteMoments {
    std::int64_t count = 0;  ///< vectors; those that are not finite and those outside the means are left out
    VectorD mean;            ///< [width]
    VectorD squares;         ///< [width] sum over the vectors of (x - mean)^2
    /// [q, q] sum of (x - mean)(x - mean)^T; q is the width, or of a site that is kept as scores their
    /// number: then x are the scores, before rounding.
    MatrixD comoment;
    VectorD score_mean;  ///< [q] of the scores; empty where q is the width

    /// Chan, Golub & LeVeque (1979): exact up to float64's rounding, in any order.
    void merge(const SiteMoments& other);
};

/// Tensors of one site: F64 but for the count; the comoment's lower triangle, row by row.
std::vector<TensorSpec> moments_specs(const std::string& site, std::int64_t width, std::int64_t rank);
std::int64_t moments_bytes(std::int64_t width, std::int64_t rank);  ///< of those tensors
void write_moments(SafetensorsWriter& file, std::size_t first, const SiteMoments& moments);
/// `rank` 0: the comoment is of the whole width. Errors: Error naming the file when its moments are not of
/// this site.
SiteMoments read_moments(const Safetensors& file, const SiteShape& site, std::int64_t rank);

}  // namespace tomograph
