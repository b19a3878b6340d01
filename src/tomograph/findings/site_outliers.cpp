#include "tomograph/findings/site_outliers.h"

#include <algorithm>
#include <cmath>

#include "tomograph/statistics/statistics.h"

namespace tomograph {

SiteScores score_site(const Run& run, const Site& site, const Matrix& sample, const Pca& pca,
                      const OutlierOptions& options) {
    constexpr std::int64_t kBlock = 2048;
    const OutlierModel model(sample, pca, options);
    const bool first_apart = run.length() > 1;
    SiteScores result;
    std::vector<double> norms, first_norms;
    OutlierModel::Distances distances;
    Matrix block(kBlock, sample.cols());
    for (std::int64_t begin = 0; begin < run.n_rows(); begin += kBlock) {
        const std::int64_t n = std::min(kBlock, run.n_rows() - begin);
        run.read_rows(site, begin, begin + n, block.data());
        Eigen::Index kept = 0;
        for (std::int64_t i = 0; i < n; ++i) {
            const auto token = static_cast<std::size_t>(run.rows()[static_cast<std::size_t>(begin + i)]);
            const double norm = block.row(i).cast<double>().norm();
            if (first_apart && run.tokens().position[token] == 0) {
                first_norms.push_back(norm);
                result.first_rows.push_back(begin + i);
                continue;
            }
            norms.push_back(norm);
            result.rows.push_back(begin + i);
            if (kept != i) block.row(kept) = block.row(i);
            ++kept;
        }
        const auto part = model.distances(block.topRows(kept));
        distances.copies += part.copies;
        distances.neighbor.insert(distances.neighbor.end(), part.neighbor.begin(), part.neighbor.end());
        distances.mahalanobis.insert(distances.mahalanobis.end(), part.mahalanobis.begin(),
                                     part.mahalanobis.end());
    }
    result.scored = combine_outlier_scores(norms, distances);
    result.first_scores = norm_outlier_scores(first_norms);
    return result;
}

double label_auroc(const Run& run, const SiteScores& scores, std::size_t label) {
    std::vector<double> values;
    std::vector<std::uint8_t> planted;
    for (std::size_t i = 0; i < scores.rows.size(); ++i) {
        values.push_back(scores.scored[i].score);
        const auto token = static_cast<std::size_t>(run.rows()[static_cast<std::size_t>(scores.rows[i])]);
        planted.push_back(run.tokens().label[token] == static_cast<std::int32_t>(label));
    }
    return auroc(values, planted);
}

}  // namespace tomograph
