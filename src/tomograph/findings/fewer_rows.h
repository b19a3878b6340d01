#pragma once
// Some rows of a subject's sample, for what costs too much on all of them. For use inside findings/ only.
#include <vector>

#include "tomograph/base/random.h"
#include "tomograph/findings/subject.h"

namespace tomograph {

class FewerRows {
  public:
    FewerRows() = default;  ///< none
    /// `most` of the sample's rows at most, drawn by `seed`.
    FewerRows(const Subject& subject, std::int64_t most, std::uint64_t seed)
        : rows_(sample_indices(subject.sample.size(), most, seed)) {
        for (const std::int64_t i : rows_)
            group_.push_back(subject.sample.group[static_cast<std::size_t>(i)]);
    }

    std::size_t size() const { return rows_.size(); }
    const std::vector<std::int32_t>& group() const { return group_; }  ///< [size()]
    /// [size(), d]: these of `all` [n, d], in which the sample's rows begin at `begin`.
    Matrix of(const Matrix& all, Eigen::Index begin = 0) const {
        Matrix rows(static_cast<Eigen::Index>(rows_.size()), all.cols());
        for (Eigen::Index i = 0; i < rows.rows(); ++i)
            rows.row(i) = all.row(begin + static_cast<Eigen::Index>(rows_[static_cast<std::size_t>(i)]));
        return rows;
    }

  private:
    std::vector<std::int64_t> rows_;  // of the sample
    std::vector<std::int32_t> group_;
};

}  // namespace tomograph
