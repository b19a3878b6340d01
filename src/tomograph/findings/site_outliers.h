#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "tomograph/statistics/outliers.h"
#include "tomograph/store/run.h"

namespace tomograph {

/// Scores of the rows of a site. Where sequences are longer than one token, the first position is
/// scored apart, by its norm among first positions.
struct SiteScores {
    std::vector<std::int64_t> rows;  ///< stored rows, ascending
    std::vector<ScoredRow> scored;
    std::vector<std::int64_t> first_rows;
    std::vector<double> first_scores;
};

/// How all stored rows of a site lie, but those that `left_out` [n_rows] marks and such as hold NaN or Inf.
struct SiteDistances {
    std::vector<std::int64_t> rows, first_rows;  ///< stored rows, ascending; the first position apart
    std::vector<double> norms, first_norms;
    OutlierModel::Distances distances;  ///< [rows]
};
/// Reads the site block by block. `model` says what is ordinary.
SiteDistances read_distances(const Run& run, const Site& site, std::span<const std::uint8_t> left_out,
                             const OutlierModel& model);

/// Each row's score among these rows.
SiteScores score_site(const Run& run, const Site& site, std::span<const std::uint8_t> left_out,
                      const OutlierModel& model);

/// AUROC of the scores for the tokens of one label against all others; kNoNumber where there are none.
double label_auroc(const Run& run, const SiteScores& scores, std::size_t label);

}  // namespace tomograph
