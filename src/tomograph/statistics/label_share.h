#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "tomograph/base/matrix.h"

namespace tomograph {

/// Which share of the variance of unit vectors lies between the classes of a labelling, less what chance
/// would put there: 1 - (1 - eta^2) (n - 1) / (n - k) of n rows in k classes that have any. 0 is expected of
/// labels that know nothing of the rows, 1 is all. Source: Kelley (1935), "An unbiased correlation ratio
/// measure".
class LabelShare {
  public:
    /// `rows` [n, d] are divided by their norms; row i belongs to group[i], counted from 0.
    LabelShare(const Matrix& rows, std::span<const std::int32_t> group, int n_groups);

    /// `labels` [n] from 0 to n_labels - 1. kNoNumber where all rows are equal, or no class has two. O(n d).
    double value(std::span<const std::int32_t> labels, int n_labels) const;
    /// The same without each group in turn, [n_groups].
    std::vector<double> left_out(std::span<const std::int32_t> labels, int n_labels) const;

  private:
    struct Sums;
    Sums sums(std::span<const std::int32_t> labels, int n_labels, int of_group) const;
    Sums all_sums(std::span<const std::int32_t> labels, int n_labels) const;

    Matrix unit_;
    std::vector<std::vector<Eigen::Index>> rows_of_;  // [n_groups]
};

}  // namespace tomograph
