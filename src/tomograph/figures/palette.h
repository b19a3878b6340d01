#pragma once
#include <cstdint>
#include <string_view>

namespace tomograph {

/// 0xRRGGBB, sRGB.
using Color = std::uint32_t;

namespace ink {
inline constexpr Color text = 0x222222;
inline constexpr Color faint_text = 0x555555;
inline constexpr Color axis = 0x8A8A8A;
inline constexpr Color grid = 0xE9E9E9;
inline constexpr Color paper = 0xFFFFFF;
}  // namespace ink

/// The i-th colour for categories (i >= 0). The first seven are those of Okabe and Ito, which colour-blind
/// eyes tell apart (https://jfly.uni-koeln.de/color/), in an order that puts strong contrasts first; later
/// ones repeat them darker and lighter.
Color category_color(int i);

/// The fixed colour of a component ("attn_out" blue, "mlp_out" vermilion, the residual stream green, ...), so
/// that it is the same in every figure. Components without one get grey.
Color component_color(std::string_view component);

/// How numbers become colours. Both are computed in the perceptual space OKLab (Björn Ottosson, 2020),
/// lightness changing evenly, so that they read in grey and by colour-blind eyes.
enum class ColorMap {
    sequential,  ///< dark violet over teal to yellow-green: layers, positions, norms
    diverging,   ///< blue over light grey to vermilion: values around a middle
};

/// Colour at t in [0, 1]; values outside are clamped.
Color map_color(ColorMap map, double t);

/// `color` mixed with white: amount 0 leaves it, 1 is white.
Color lightened(Color color, double amount);
/// `color` mixed with black.
Color darkened(Color color, double amount);

}  // namespace tomograph
