#pragma once
#include <cstdint>
#include <vector>

#include "tomograph/linear/sketch_pca.h"
#include "tomograph/words/site.h"

namespace tomograph {

/// A picture pools sites, and its axes are not those of any one of them: what a site's scores leave out along
/// them is an error in the picture. So a quarter of every site's axes are those that sites which are looked
/// at together share: what is added to the stream, the stream's states, or one component at all layers. And
/// one is the direction of its own mean: what lies off the axes then holds nothing of the mean, of which each
/// vector has its own share.
///
/// `fitted` [sites]: each site's own axes, fitted to `count` rows; `k` axes were asked for. They become the
/// mean's, the shared ones and then as many of their own as there is room for, orthonormal. A site whose own
/// axes are fewer than k holds all of its vectors and keeps them; so do all where k is below 4.
///
/// Shared are the leading directions of the sum over the sites of (A^T diag(squares / count) A + m m^T) / t,
/// where t is the trace of that: by subspace iteration on the axes alone, no row is read again.
void share_axes(std::vector<SketchPca::Axes>& fitted, const std::vector<SiteShape>& sites, std::int64_t count,
                std::int64_t k, std::uint64_t seed);

}  // namespace tomograph
