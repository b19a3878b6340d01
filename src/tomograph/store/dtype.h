#pragma once
#include <cstddef>
#include <optional>
#include <string_view>

#include "tomograph/base/half.h"

namespace tomograph {

/// Element types of the run folder; names as in a safetensors header. `f64` is that of moments alone: it is
/// written, and read as a type that vectors do not have (Safetensors::others).
enum class Dtype { f32, f16, bf16, i32, f64 };

std::size_t dtype_size(Dtype dtype);
/// "F32", "F16", "BF16", "I32", "F64".
std::string_view dtype_name(Dtype dtype);
/// Case-insensitive. Empty for any other name, and for "F64".
std::optional<Dtype> find_dtype(std::string_view name);

/// Any type but f64 to float32. `in` need not be aligned.
void to_f32(Dtype dtype, const void* in, float* out, std::size_t n);

}  // namespace tomograph
