#pragma once
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "support/errors.h"
#include "tomograph/base/json.h"
#include "tomograph/base/matrix.h"
#include "tomograph/base/progress.h"
#include "tomograph/base/random.h"
#include "tomograph/base/rows.h"

namespace tomograph::test {

/// Reference values from scikit-learn and umap-learn; tests/golden/reduce/make.py remakes them. Throws when
/// missing.
inline const Json& golden() {
    static const Json values = read_json(std::string(TOMOGRAPH_TEST_DATA) + "/reduce/reduce.json");
    return values;
}

inline Matrix to_matrix(const Json& rows) {
    Matrix matrix(rows.size(), rows.at(0).size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
        for (std::size_t j = 0; j < rows[i].size(); ++j) matrix(i, j) = rows[i][j].get<float>();
    }
    return matrix;
}

/// Rows that are not in memory as a whole, as those of a run folder.
class BlockedRows final : public RowSource {
  public:
    explicit BlockedRows(const Matrix& matrix) : rows_(matrix) {}
    std::int64_t n_rows() const override { return rows_.n_rows(); }
    std::int64_t dim() const override { return rows_.dim(); }
    void read(std::int64_t begin, std::int64_t end, float* out) const override {
        rows_.read(begin, end, out);
    }

  private:
    MatrixRows rows_;
};

/// `n_groups` clusters on a few directions, in d dimensions.
inline Matrix clustered(std::int64_t n, std::int64_t d, std::uint64_t seed, int n_groups = 20) {
    Rng rng(seed);
    constexpr int inner = 6;
    Matrix centers(n_groups, d), basis(inner, d), rows(n, d);
    for (auto& value : centers.reshaped()) value = static_cast<float>(2 * rng.normal());
    for (auto& value : basis.reshaped()) value = static_cast<float>(rng.normal());
    for (std::int64_t i = 0; i < n; ++i) {
        rows.row(i) = centers.row(static_cast<std::int64_t>(rng.below(n_groups)));
        for (int t = 0; t < inner; ++t)
            rows.row(i) += static_cast<float>(rng.normal()) / (1 + t) * basis.row(t);
        for (std::int64_t j = 0; j < d; ++j) rows(i, j) += static_cast<float>(0.1 * rng.normal());
    }
    return rows;
}

template <class Derived>
bool same_bytes(const Eigen::PlainObjectBase<Derived>& a, const Eigen::PlainObjectBase<Derived>& b) {
    return a.rows() == b.rows() && a.cols() == b.cols() &&
           std::memcmp(a.data(), b.data(), sizeof(typename Derived::Scalar) * a.size()) == 0;
}

/// Asks to stop from the start.
struct StoppedProgress final : Progress {
    bool stop_requested() const override { return true; }
};

}  // namespace tomograph::test
