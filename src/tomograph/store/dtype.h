#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace tomograph {

/// Element types of the run folder; names as in a safetensors header. `f64` is that of moments alone: it is
/// written, and read as a type that vectors do not have (Safetensors::others).
enum class Dtype { f32, f16, bf16, i32, f64 };

std::size_t dtype_size(Dtype dtype);
/// "F32", "F16", "BF16", "I32", "F64".
std::string_view dtype_name(Dtype dtype);
/// Case-insensitive. Empty for any other name, and for "F64".
std::optional<Dtype> find_dtype(std::string_view name);

/// Largest finite float16.
inline constexpr float kF16Max = 65504.0f;
/// From here on a float rounds up to an infinite float16.
inline constexpr float kF16Overflow = 65520.0f;

/// Round `n` floats to nearest even. Returns false if a finite value became infinite (float16 ends at
/// 65,504).
bool to_f16(const float* in, std::uint16_t* out, std::size_t n);
void to_bf16(const float* in, std::uint16_t* out, std::size_t n);
/// `in` need not be aligned: tensors of foreign files begin anywhere.
void from_f16(const void* in, float* out, std::size_t n);
void from_bf16(const void* in, float* out, std::size_t n);

/// Any type but f64 to float32. `in` need not be aligned.
void to_f32(Dtype dtype, const void* in, float* out, std::size_t n);

}  // namespace tomograph
