#pragma once
// Which tokens stand out, over all sites of a run. For use inside findings/ only.
#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

#include "tomograph/findings/measure.h"
#include "tomograph/linear/pca.h"

namespace tomograph {

/// Most that a report lists.
inline constexpr std::size_t kMostOutliers = 100;

/// One stored row, as a report lists it.
Outlier make_outlier(const Run& run, std::int64_t row, const Site& site, double score, const char* by);

/// Highest score of each stored row over the sites that were scored so far. score() may run on several
/// threads; the result does not depend on their order.
class OutlierBoard {
  public:
    /// All must outlive it; rows that `left_out` [n_rows] marks have no score.
    OutlierBoard(const Run& run, const std::vector<Site>& sites, std::span<const std::uint8_t> left_out);
    /// Score all stored rows at sites[at] by what `sample` says is ordinary.
    void score(std::size_t at, const Matrix& sample, const Pca& pca, std::uint64_t seed);

    double threshold(double false_alarm_rate) const;
    std::vector<Outlier> outliers(double threshold) const;
    std::vector<Outlier> first_tokens() const;
    /// The highest score of each token of the run, [n_tokens]; NaN for those whose vectors were not scored, and for first
    /// tokens, whose scores are of another kind.
    std::vector<float> token_scores() const;
    /// How well the scores find each label's tokens: by all sites, and by the site that sees them best.
    Json found_labels() const;

  private:
    struct Best {
        float score = -1;
        int site = -1;
        const char* by = "norm";
    };
    static void keep_best(Best& best, double score, int site, const char* by);
    std::vector<Outlier> ranked(const std::vector<Best>& best, double threshold, std::size_t most) const;

    const Run& run_;
    const std::vector<Site>& sites_;
    std::span<const std::uint8_t> left_out_;
    std::vector<Best> best_, best_first_;           // per stored row
    std::vector<std::vector<double>> label_auroc_;  // per site, by label
    std::mutex mutex_;
};

}  // namespace tomograph
