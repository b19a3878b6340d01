#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "tomograph/base/file.h"
#include "tomograph/store/dtype.h"

namespace tomograph {

/// Element types that files from elsewhere hold.
enum class Element { f16, bf16, f32, f64, i8, u8, i16, u16, i32, u32, i64, u64, boolean };

std::size_t element_size(Element element);
/// As NumPy says it: "float64".
std::string_view element_name(Element element);
/// By a safetensors header's name: "F64". Empty for any other.
std::optional<Element> find_element(std::string_view name);
/// The run folder's type that holds these values as they are; empty where they have to become float32.
std::optional<Dtype> stored_as(Element element);

/// What a conversion to float32 did to values.
struct Losses {
    std::int64_t rounded = 0;           ///< integers that float32 does not hold
    std::int64_t first_too_large = -1;  ///< row of the first finite value beyond float32; -1: none
};

/// An array in a mapped file, whatever its element type, byte order and layout.
class ForeignArray {
  public:
    struct Axis {
        std::int64_t extent;
        std::int64_t stride;  ///< in elements
    };

    ForeignArray() = default;
    /// Of `shape` in C or Fortran order, from the first byte of `bytes` on, which hold at least that much;
    /// `file` keeps them mapped.
    ForeignArray(std::shared_ptr<const void> file, std::span<const std::byte> bytes, Element element,
                 const std::vector<std::int64_t>& shape, bool fortran = false, bool swapped = false);

    Element element() const { return element_; }
    /// Is every element's lowest byte the last one? (big-endian)
    bool swapped() const { return swapped_; }
    const std::vector<Axis>& axes() const { return axes_; }
    std::vector<std::int64_t> shape() const;
    /// Product of the first `n_axes` extents.
    std::int64_t n_rows(std::size_t n_axes) const;

    /// The array at one place of an axis, which goes away.
    ForeignArray slice(std::size_t axis, std::int64_t place) const;
    /// Rows [begin, end) as float32 [end - begin, width]: the first `n_axes` axes number the rows in C order,
    /// the others are a row's. `losses` is added to.
    void read_rows(std::size_t n_axes, std::int64_t begin, std::int64_t end, float* out,
                   Losses& losses) const;
    /// All elements in C order, for arrays of integers. What does not fit is clamped.
    std::vector<std::int64_t> integers() const;

  private:
    std::shared_ptr<const void> file_;
    std::span<const std::byte> bytes_;
    Element element_ = Element::f32;
    bool swapped_ = false;
    std::int64_t offset_ = 0;  // of the first element
    std::vector<Axis> axes_;
};

}  // namespace tomograph
