#include "tomograph/exchange/array.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

namespace tomograph {
namespace {

struct Entry {
    std::size_t size;
    std::string_view name, safetensors;
};
constexpr std::array<Entry, 13> kElements{{{2, "float16", "F16"},
                                           {2, "bfloat16", "BF16"},
                                           {4, "float32", "F32"},
                                           {8, "float64", "F64"},
                                           {1, "int8", "I8"},
                                           {1, "uint8", "U8"},
                                           {2, "int16", "I16"},
                                           {2, "uint16", "U16"},
                                           {4, "int32", "I32"},
                                           {4, "uint32", "U32"},
                                           {8, "int64", "I64"},
                                           {8, "uint64", "U64"},
                                           {1, "bool", "BOOL"}}};

const Entry& entry_of(Element element) {
    return kElements[static_cast<std::size_t>(element)];
}

template <class T>
T load(const std::byte* at, bool swapped) {
    std::array<std::byte, sizeof(T)> bytes;
    std::memcpy(bytes.data(), at, sizeof(T));
    if (swapped) std::ranges::reverse(bytes);
    return std::bit_cast<T>(bytes);
}

/// Calls `act` with a function that loads one element as the C++ type that holds it.
template <class Act>
void with_loader(Element element, bool swapped, Act act) {
    const auto plain = [&]<class T>(T) {
        act([swapped](const std::byte* at) { return load<T>(at, swapped); });
    };
    const auto half = [&](void (*widen)(const void*, float*, std::size_t)) {
        act([swapped, widen](const std::byte* at) {
            const auto bits = load<std::uint16_t>(at, swapped);
            float value = 0;
            widen(&bits, &value, 1);
            return value;
        });
    };
    switch (element) {
        case Element::f16:
            return half(from_f16);
        case Element::bf16:
            return half(from_bf16);
        case Element::f32:
            return plain(float{});
        case Element::f64:
            return plain(double{});
        case Element::i8:
            return plain(std::int8_t{});
        case Element::u8:
        case Element::boolean:
            return plain(std::uint8_t{});
        case Element::i16:
            return plain(std::int16_t{});
        case Element::u16:
            return plain(std::uint16_t{});
        case Element::i32:
            return plain(std::int32_t{});
        case Element::u32:
            return plain(std::uint32_t{});
        case Element::i64:
            return plain(std::int64_t{});
        case Element::u64:
            return plain(std::uint64_t{});
    }
}

/// Where each place of some axes lies, C order, from place `begin` to `end`.
std::vector<std::int64_t> offsets(std::span<const ForeignArray::Axis> axes, std::int64_t begin,
                                  std::int64_t end) {
    std::vector<std::int64_t> result(static_cast<std::size_t>(end - begin), 0);
    for (std::int64_t i = begin; i < end; ++i) {
        std::int64_t left = i;
        for (std::size_t a = axes.size(); a-- > 0;) {
            result[static_cast<std::size_t>(i - begin)] += left % axes[a].extent * axes[a].stride;
            left /= axes[a].extent;
        }
    }
    return result;
}

bool consecutive(std::span<const std::int64_t> places) {
    for (std::size_t i = 1; i < places.size(); ++i) {
        if (places[i] != places[i - 1] + 1) return false;
    }
    return true;
}

}  // namespace

std::size_t element_size(Element element) {
    return entry_of(element).size;
}

std::string_view element_name(Element element) {
    return entry_of(element).name;
}

std::optional<Element> find_element(std::string_view name) {
    for (std::size_t i = 0; i < kElements.size(); ++i) {
        if (kElements[i].safetensors == name) return static_cast<Element>(i);
    }
    return std::nullopt;
}

std::optional<Dtype> stored_as(Element element) {
    switch (element) {
        case Element::f32:
            return Dtype::f32;
        case Element::f16:
            return Dtype::f16;
        case Element::bf16:
            return Dtype::bf16;
        default:
            return std::nullopt;
    }
}

ForeignArray::ForeignArray(std::shared_ptr<const void> file, std::span<const std::byte> bytes,
                           Element element, const std::vector<std::int64_t>& shape, bool fortran,
                           bool swapped)
    : file_(std::move(file)), bytes_(bytes), element_(element), swapped_(swapped) {
    for (const std::int64_t extent : shape) axes_.push_back({extent, 1});
    std::int64_t stride = 1;
    for (std::size_t i = 0; i < axes_.size(); ++i) {
        Axis& axis = axes_[fortran ? i : axes_.size() - 1 - i];
        axis.stride = stride;
        stride *= axis.extent;
    }
}

std::vector<std::int64_t> ForeignArray::shape() const {
    std::vector<std::int64_t> extents;
    for (const Axis& axis : axes_) extents.push_back(axis.extent);
    return extents;
}

std::int64_t ForeignArray::n_rows(std::size_t n_axes) const {
    std::int64_t product = 1;
    for (std::size_t i = 0; i < n_axes; ++i) product *= axes_[i].extent;
    return product;
}

ForeignArray ForeignArray::slice(std::size_t axis, std::int64_t place) const {
    ForeignArray part = *this;
    part.offset_ += place * axes_[axis].stride;
    part.axes_.erase(part.axes_.begin() + static_cast<std::ptrdiff_t>(axis));
    return part;
}

void ForeignArray::read_rows(std::size_t n_axes, std::int64_t begin, std::int64_t end, float* out,
                             Losses& losses) const {
    const std::span<const Axis> axes(axes_);
    std::int64_t width = 1;
    for (const Axis& axis : axes.subspan(n_axes)) width *= axis.extent;
    const auto rows = offsets(axes.first(n_axes), begin, end),
               columns = offsets(axes.subspan(n_axes), 0, width);
    const std::byte* first = bytes_.data() + static_cast<std::size_t>(offset_) * element_size(element_);
    const auto w = static_cast<std::size_t>(width);
    if (const auto dtype = stored_as(element_); dtype && !swapped_ && consecutive(columns)) {
        for (std::size_t r = 0; r < rows.size(); ++r)
            to_f32(*dtype, first + static_cast<std::size_t>(rows[r]) * element_size(element_), out + r * w,
                   w);
        return;
    }
    with_loader(element_, swapped_, [&](auto value_at) {
        const auto put = [&](std::size_t r, std::size_t c) {
            const auto value =
                value_at(first + static_cast<std::size_t>(rows[r] + columns[c]) * element_size(element_));
            using Value = decltype(value);
            const auto narrow = static_cast<float>(value);
            out[r * w + c] = narrow;
            if constexpr (std::is_integral_v<std::remove_const_t<Value>> && sizeof(Value) >= 4) {
                losses.rounded += static_cast<long double>(narrow) != static_cast<long double>(value);
            } else if constexpr (std::is_same_v<std::remove_const_t<Value>, double>) {
                if (std::isinf(narrow) && std::isfinite(value) && losses.first_too_large < 0)
                    losses.first_too_large = begin + static_cast<std::int64_t>(r);
            }
        };
        // Through the file in the order in which it lies.
        if (w > 1 && columns[1] > 1) {
            for (std::size_t c = 0; c < w; ++c)
                for (std::size_t r = 0; r < rows.size(); ++r) put(r, c);
        } else {
            for (std::size_t r = 0; r < rows.size(); ++r)
                for (std::size_t c = 0; c < w; ++c) put(r, c);
        }
    });
}

std::vector<std::int64_t> ForeignArray::integers() const {
    const auto places = offsets(axes_, 0, n_rows(axes_.size()));
    std::vector<std::int64_t> values(places.size());
    const std::byte* first = bytes_.data() + static_cast<std::size_t>(offset_) * element_size(element_);
    with_loader(element_, swapped_, [&](auto value_at) {
        for (std::size_t i = 0; i < places.size(); ++i) {
            const auto value = value_at(first + static_cast<std::size_t>(places[i]) * element_size(element_));
            if constexpr (std::is_same_v<std::remove_const_t<decltype(value)>, std::uint64_t>)
                values[i] = static_cast<std::int64_t>(
                    std::min<std::uint64_t>(value, std::numeric_limits<std::int64_t>::max()));
            else
                values[i] = static_cast<std::int64_t>(value);
        }
    });
    return values;
}

}  // namespace tomograph
