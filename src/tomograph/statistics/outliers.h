#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "tomograph/base/matrix.h"
#include "tomograph/linear/pca.h"

namespace tomograph {

struct OutlierOptions {
    /// Principal components in which distances are taken. More see rarer directions and more noise.
    /// Default 32.
    int components = 32;
    /// Rows that the others are compared with, drawn from those of the fit. Default 1000.
    std::int64_t reference = 1000;
    /// The neighbour whose distance counts. Larger finds larger clumps of odd rows. Default 5.
    int neighbor = 5;
    std::uint64_t seed = 42;
};

/// What is ordinary at one site, learned from a sample of its rows.
class OutlierModel {
  public:
    /// `sample` [n, d] with its PCA (any number of components; the leading ones are used).
    OutlierModel(const Matrix& sample, const Pca& pca, const OutlierOptions& options);

    /// How odd rows [n, d] lie, as logarithms: distance to the k-th neighbour among the reference rows (not
    /// counting the row itself), and Mahalanobis distance, both in PCA space.
    struct Distances {
        std::vector<double> neighbor, mahalanobis;
        std::int64_t copies = 0;  ///< rows whose k-th neighbour is their equal
        /// Where many rows are equal (token embeddings), being unlike others is no oddity: it is having a
        /// rare token.
        bool neighbors_tell() const { return 20 * copies <= static_cast<std::int64_t>(neighbor.size()); }
    };
    Distances distances(const Eigen::Ref<const Matrix>& rows) const;

  private:
    Pca basis_;
    Matrix reference_;  // [r, k] scores
    Vector reference_squares_;
    Vector inverse_deviation_;
    int neighbor_;
};

struct ScoredRow {
    double score = 0;
    const char* by = "norm";  ///< the part that gave the score: "norm", "neighbors" or "mahalanobis"
};

/// Robust z of log norms (either side), of log neighbour distances and of log Mahalanobis distances (far
/// side), combined to the largest of the three: one score a row. Sources: Iglewicz & Hoaglin (1993) for
/// median and MAD; Ramaswamy et al. (2000) for k-NN distances; Mahalanobis (1936).
std::vector<ScoredRow> combine_outlier_scores(std::span<const double> norms,
                                              const OutlierModel::Distances& distances);

/// Of log norms alone, either side: what rows that stand apart by place are scored by.
std::vector<double> norm_outlier_scores(std::span<const double> norms);

}  // namespace tomograph
