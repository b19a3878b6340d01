#include "tomograph/findings/site_outliers.h"

#include <algorithm>
#include <cmath>

#include "tomograph/statistics/statistics.h"

namespace tomograph {

SiteDistances read_distances(const Run& run, const Site& site, std::span<const std::uint8_t> left_out,
                             const OutlierModel& model) {
    constexpr std::int64_t kBlock = 2048;
    const bool first_apart = run.length() > 1;
    SiteDistances result;
    Matrix block(kBlock, run.site(site).width());
    for (std::int64_t begin = 0; begin < run.n_rows(); begin += kBlock) {
        const std::int64_t n = std::min(kBlock, run.n_rows() - begin);
        run.read_rows(site, begin, begin + n, block.data());
        Eigen::Index kept = 0;
        for (std::int64_t i = 0; i < n; ++i) {
            const auto row = static_cast<std::size_t>(begin + i);
            const double norm = block.row(i).cast<double>().norm();
            if (left_out[row] != 0 || !std::isfinite(norm)) continue;
            const auto token = static_cast<std::size_t>(run.rows()[row]);
            if (first_apart && run.tokens().position[token] == 0) {
                result.first_norms.push_back(norm);
                result.first_rows.push_back(begin + i);
                continue;
            }
            result.norms.push_back(norm);
            result.rows.push_back(begin + i);
            if (kept != i) block.row(kept) = block.row(i);
            ++kept;
        }
        const auto part = model.distances(block.topRows(kept));
        OutlierModel::Distances& all = result.distances;
        all.copies += part.copies;
        all.neighbor.insert(all.neighbor.end(), part.neighbor.begin(), part.neighbor.end());
        all.mahalanobis.insert(all.mahalanobis.end(), part.mahalanobis.begin(), part.mahalanobis.end());
    }
    return result;
}

SiteScores score_site(const Run& run, const Site& site, std::span<const std::uint8_t> left_out,
                      const OutlierModel& model) {
    SiteDistances distances = read_distances(run, site, left_out, model);
    SiteScores result;
    result.scored = combine_outlier_scores(distances.norms, distances.distances);
    result.first_scores = norm_outlier_scores(distances.first_norms);
    result.rows = std::move(distances.rows);
    result.first_rows = std::move(distances.first_rows);
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
