#pragma once
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "tomograph/base/json.h"
#include "tomograph/base/matrix.h"
#include "tomograph/base/rows.h"

namespace tomograph::python {

namespace nb = nanobind;

/// Any array in this machine's memory that may be read.
using AnyArray = nb::ndarray<nb::ro, nb::device::cpu>;
/// What the pure statistics take; the Python side has converted it.
using Floats = nb::ndarray<const float, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Doubles = nb::ndarray<const double, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using Integers = nb::ndarray<const std::int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Numbers = nb::ndarray<const double, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

/// The same object, whose type a type checker does not ask about: arrays and JSON.
inline nb::any anything(nb::object object) {
    return nb::steal<nb::any>(object.release());
}

/// An array of NumPy's that owns what it is given.
template <typename T>
nb::any array_of(std::vector<T> values, std::vector<std::size_t> shape = {}) {
    if (shape.empty()) shape = {values.size()};
    auto* owned = new std::vector<T>(std::move(values));
    nb::capsule owner(owned, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
    return anything(nb::cast(nb::ndarray<nb::numpy, T>(owned->data(), shape.size(), shape.data(), owner)));
}

/// The same of a matrix or a vector of Eigen's: no copy.
template <typename M>
nb::any array_of_matrix(M values) {
    using T = typename M::Scalar;
    std::vector<std::size_t> shape{static_cast<std::size_t>(values.rows())};
    if constexpr (M::ColsAtCompileTime != 1) {
        static_assert(M::IsRowMajor);
        shape.push_back(static_cast<std::size_t>(values.cols()));
    }
    auto* owned = new M(std::move(values));
    nb::capsule owner(owned, [](void* p) noexcept { delete static_cast<M*>(p); });
    return anything(nb::cast(nb::ndarray<nb::numpy, T>(owned->data(), shape.size(), shape.data(), owner)));
}

Matrix matrix_of(const Floats& array);
MatrixD matrix_of(const Doubles& array);
VectorD vector_of(const Numbers& array);

/// As Python's json module reads it.
nb::any json_object(const Json& json);
/// From Python's lists, dicts, texts and numbers. Errors: Error for what JSON cannot say.
Json json_of(nb::handle object);

/// Rows of an array [n, d] of float16, float32 or float64 with any strides, read as float32 block by block.
/// Holds the array; made and destroyed with the interpreter's lock, read without it.
class ArrayRows final : public RowSource {
  public:
    /// Errors: Error for another shape or type.
    explicit ArrayRows(AnyArray array);
    std::int64_t n_rows() const override { return n_rows_; }
    std::int64_t dim() const override { return dim_; }
    void read(std::int64_t begin, std::int64_t end, float* out) const override;
    const float* data() const override;

  private:
    AnyArray array_;
    const char* begin_;
    int bits_;
    std::int64_t n_rows_, dim_, row_stride_, column_stride_;  // strides in elements
};

/// Rows that Python gave: an array, or a selection of a run.
struct GivenRows {
    const RowSource* rows;
    std::unique_ptr<ArrayRows> own;
};
GivenRows rows_of(nb::handle given);

}  // namespace tomograph::python
