#pragma once
#include <cstddef>
#include <cstdint>

namespace tomograph {

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

}  // namespace tomograph
