#pragma once
#include <cstdint>

#include "tomograph/base/matrix.h"

namespace tomograph {

/// Rows that need not fit in memory: what select/ gives and what reduce/ and measure/ take.
/// Reading is const and safe from several threads at once.
class RowSource {
  public:
    virtual ~RowSource() = default;
    virtual std::int64_t n_rows() const = 0;
    virtual std::int64_t dim() const = 0;
    /// Write rows [begin, end) to `out`, row-major [end - begin, dim].
    virtual void read(std::int64_t begin, std::int64_t end, float* out) const = 0;
    /// Whole matrix in memory where it already is, else null: lets an algorithm skip the copy.
    virtual const float* data() const { return nullptr; }
};

/// Rows already in memory. Does not own them.
class MatrixRows final : public RowSource {
  public:
    explicit MatrixRows(const Matrix& matrix)
        : data_(matrix.data()), n_rows_(matrix.rows()), dim_(matrix.cols()) {}
    MatrixRows(const float* data, std::int64_t n_rows, std::int64_t dim)
        : data_(data), n_rows_(n_rows), dim_(dim) {}
    std::int64_t n_rows() const override { return n_rows_; }
    std::int64_t dim() const override { return dim_; }
    void read(std::int64_t begin, std::int64_t end, float* out) const override {
        Eigen::Map<Matrix>(out, end - begin, dim_) = MatrixView(data_ + begin * dim_, end - begin, dim_);
    }
    const float* data() const override { return data_; }

  private:
    const float* data_;
    std::int64_t n_rows_;
    std::int64_t dim_;
};

}  // namespace tomograph
