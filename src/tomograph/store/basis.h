#pragma once
#include <filesystem>
#include <memory>
#include <vector>

#include "tomograph/base/matrix.h"
#include "tomograph/store/safetensors.h"
#include "tomograph/words/site.h"

namespace tomograph {

/// Axes on which one site's vectors are kept as scores: x is mean + scores * components, and what is left of
/// it is orthogonal to them.
struct SiteBasis {
    Vector mean;        ///< [width]
    Matrix components;  ///< [k, width], orthonormal rows
    /// In the files, scores and residuals are divided by this power of two, so that float16 holds the
    /// largest.
    float scale = 1;

    std::int64_t rank() const { return components.rows(); }
};

/// One a site of the run, in their order.
struct Basis {
    std::vector<SiteBasis> sites;
};

/// basis.safetensors: mean/SITE, components/SITE and scale/SITE, all F32.
std::unique_ptr<SafetensorsWriter> write_basis(const std::filesystem::path& file, const Basis& basis,
                                               const std::vector<SiteShape>& sites);
/// Errors: Error naming the file when it has no basis of a site's shape.
SiteBasis read_basis(const Safetensors& file, const SiteShape& site);
/// The basis that a run keeps its scores on, for another capture. Errors: Error when `run` keeps none, or not
/// at one of these sites.
Basis basis_of(const std::filesystem::path& run, const std::vector<SiteShape>& sites);

}  // namespace tomograph
