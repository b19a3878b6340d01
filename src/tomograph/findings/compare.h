#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "tomograph/base/json.h"
#include "tomograph/base/matrix.h"
#include "tomograph/base/progress.h"
#include "tomograph/statistics/statistics.h"
#include "tomograph/store/run.h"

namespace tomograph {

struct CompareOptions {
    /// Rows a site, a seeded sample of the tokens that both runs keep. Default 4000.
    std::int64_t rows = 4000;
    /// Of them, for neighbours and Procrustes, whose cost grows faster. Default 1000.
    std::int64_t neighbor_rows = 1000;
    /// Nearest neighbours that are compared. Default 10.
    int neighbors = 10;
    std::uint64_t seed = 42;
    int bootstrap = 100;
    int threads = 0;
};

/// How far one site has moved from run A to run B. NaN where the widths do not allow a measure.
struct SiteDrift {
    Site site;
    std::int64_t rows = 0;
    double relative_change =
        kNoNumber;  ///< root mean square of |b - a|, over that of |a|; the ranking's measure
    std::optional<Interval> interval;  ///< of relative_change, by bootstrap over sequences
    double cka = kNoNumber;            ///< linear; 1: same up to rotation and scale
    double procrustes = kNoNumber;     ///< see procrustes_distance()
    double mean_shift =
        kNoNumber;  ///< |mean b - mean a| over the root mean square distance of a from its mean
    double subspace_overlap =
        kNoNumber;                      ///< of the leading principal subspaces, k by a's participation ratio
    double random_overlap = kNoNumber;  ///< what two random subspaces of that size share
    std::int64_t k = 0;
    double norm_change = kNoNumber;         ///< median of |b| / |a|, less 1
    double neighbor_agreement = kNoNumber;  ///< share of nearest neighbours (cosine) that are the same rows
    double random_agreement = kNoNumber;    ///< what chance gives
};

struct CompareReport {
    std::string a, b;              ///< paths
    std::vector<SiteDrift> sites;  ///< network order
    std::vector<std::string> notes;
    std::int64_t common_tokens = 0;

    /// Layers by how far their resid_post (else the last component that both have) moved, most first.
    std::vector<SiteDrift> ranking() const;
};

/// The runs must have read the same text; where their tokens differ, those are compared that end at the same
/// byte (align_tokens). Sites that both keep vectors of are compared, position 0 left out. Errors: Error when
/// texts differ (it says where) or no site is common; Stopped.
CompareReport compare_runs(const Run& a, const Run& b, const CompareOptions& options,
                           Progress& progress = no_progress());

/// One line a site, the ranking below.
std::string compare_table(const CompareReport& report);
/// {"a","b","common_tokens","sites":[...],"ranking":[{"layer","movement"}],"notes"}.
Json compare_json(const CompareReport& report);

/// Means over sequences of both runs at one component, by layer and position, as unit vectors in the basis
/// fitted to both; the first n rows are A's. For drawing drift.
struct SharedBasis {
    Matrix points;                       ///< [2 n, dims]
    std::vector<std::int32_t> layer;     ///< [n]
    std::vector<double> variance_ratio;  ///< [dims]
};
/// Errors: Error when widths differ or the component is missing.
SharedBasis shared_basis(const Run& a, const Run& b, Component component, int dims = 2);

}  // namespace tomograph
