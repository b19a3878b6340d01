#include "tomograph/store/dtype.h"

#include <array>
#include <cctype>
#include <cstring>

namespace tomograph {
namespace {

struct Entry {
    Dtype dtype;
    std::string_view name;
    std::size_t size;
};
constexpr std::array<Entry, 5> kDtypes{{{Dtype::f32, "F32", 4},
                                        {Dtype::f16, "F16", 2},
                                        {Dtype::bf16, "BF16", 2},
                                        {Dtype::i32, "I32", 4},
                                        {Dtype::f64, "F64", 8}}};

}  // namespace

std::size_t dtype_size(Dtype dtype) {
    return kDtypes[static_cast<std::size_t>(dtype)].size;
}
std::string_view dtype_name(Dtype dtype) {
    return kDtypes[static_cast<std::size_t>(dtype)].name;
}

std::optional<Dtype> find_dtype(std::string_view name) {
    for (const Entry& entry : kDtypes) {
        if (name.size() != entry.name.size() || entry.dtype == Dtype::f64) continue;
        bool same = true;
        for (std::size_t i = 0; i < name.size(); ++i)
            same = same && std::toupper(static_cast<unsigned char>(name[i])) == entry.name[i];
        if (same) return entry.dtype;
    }
    return std::nullopt;
}

void to_f32(Dtype dtype, const void* in, float* out, std::size_t n) {
    if (n == 0) return;  // either end may be null then, which no copy is to be given
    const auto* bytes = static_cast<const std::byte*>(in);
    switch (dtype) {
        case Dtype::f32:
            std::memcpy(out, bytes, n * 4);
            break;
        case Dtype::f16:
            from_f16(bytes, out, n);
            break;
        case Dtype::bf16:
            from_bf16(bytes, out, n);
            break;
        case Dtype::f64:
            break;  // find_dtype() gives it to nobody
        case Dtype::i32:
            for (std::size_t i = 0; i < n; ++i) {
                std::int32_t value;
                std::memcpy(&value, bytes + i * 4, 4);
                out[i] = static_cast<float>(value);
            }
            break;
    }
}

}  // namespace tomograph
