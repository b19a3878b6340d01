#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "tomograph/base/matrix.h"

namespace tomograph {

/// How far apart two clouds of rows lie, for the size that they have.
struct CloudScores {
    double silhouette = 0;         ///< cosine distance; 1: apart, 0: one cloud, below 0: mixed
    double davies_bouldin = 0;     ///< euclidean; 0: apart, larger: mixed
    double calinski_harabasz = 0;  ///< euclidean; grows with separation and with the number of rows
};

/// Exact, in time O(n d), because the mean cosine distance from a row to a cloud is that to the cloud's mean
/// unit vector. Agrees with sklearn.metrics.silhouette_score(metric="cosine"), davies_bouldin_score and
/// calinski_harabasz_score. kNoNumber where a cloud has fewer than 2 rows, or all rows are equal.
/// Sources: Rousseeuw (1987), "Silhouettes"; Davies & Bouldin (1979); Calinski & Harabasz (1974).
CloudScores compare_clouds(const Matrix& a, const Matrix& b);

/// The cosine silhouette of two clouds under weights for groups of rows, and for any relabelling.
class CosineSilhouette {
  public:
    /// Row i of `rows` [n, d] belongs to group[i]; groups count from 0.
    CosineSilhouette(const Matrix& rows, std::span<const std::int32_t> group, int n_groups);

    /// `labels` [n] are 0 or 1. O(n d).
    double value(std::span<const std::int8_t> labels) const;

    /// Sums by group for one labelling, so that many weightings of it cost O(n n_groups) each.
    class Labelled {
      public:
        /// `weights` [n_groups].
        double value(std::span<const double> weights) const;

      private:
        friend class CosineSilhouette;
        std::vector<std::int8_t> labels_;
        std::vector<std::int32_t> group_;
        Matrix products_[2];      // [n, n_groups] row i with the sum of group g's rows of that label
        Eigen::MatrixXd counts_;  // [2, n_groups]
    };
    Labelled labelled(std::span<const std::int8_t> labels) const;

  private:
    Matrix unit_;
    std::vector<std::int32_t> group_;
    int n_groups_;
};

/// Each row divided by its norm; zero rows stay zero.
Matrix unit_rows(const Matrix& rows);

}  // namespace tomograph
