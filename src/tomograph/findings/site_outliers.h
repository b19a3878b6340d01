#pragma once
#include <cstdint>
#include <vector>

#include "tomograph/statistics/outliers.h"
#include "tomograph/store/run.h"

namespace tomograph {

/// Scores of all stored rows of a site. Where sequences are longer than one token, the first position is
/// scored apart, by its norm among first positions.
struct SiteScores {
    std::vector<std::int64_t> rows;  ///< stored rows, ascending
    std::vector<ScoredRow> scored;
    std::vector<std::int64_t> first_rows;
    std::vector<double> first_scores;
};

/// Reads the site block by block; `sample` and its `pca` say what is ordinary.
SiteScores score_site(const Run& run, const Site& site, const Matrix& sample, const Pca& pca,
                      const OutlierOptions& options = {});

/// AUROC of the scores for the tokens of one label against all others; kNoNumber where there are none.
double label_auroc(const Run& run, const SiteScores& scores, std::size_t label);

}  // namespace tomograph
