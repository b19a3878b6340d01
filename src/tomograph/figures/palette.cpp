#include "tomograph/figures/palette.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <utility>

namespace tomograph {
namespace {

constexpr Color blue = 0x0072B2;
constexpr Color vermilion = 0xD55E00;
constexpr Color green = 0x009E73;
constexpr Color purple = 0xCC79A7;
constexpr Color sky = 0x56B4E9;
constexpr Color orange = 0xE69F00;
constexpr Color black = 0x333333;
constexpr Color grey = 0x777777;

Color mixed(Color from, Color to, double amount) {
    Color result = 0;
    for (const int shift : {16, 8, 0}) {
        const double a = (from >> shift) & 0xFF;
        const double b = (to >> shift) & 0xFF;
        result |= static_cast<Color>(std::lround(a + (b - a) * std::clamp(amount, 0.0, 1.0))) << shift;
    }
    return result;
}

/// OKLCH to linear sRGB; components outside [0, 1] are colours that a screen does not have.
std::array<double, 3> linear_rgb(double lightness, double chroma, double hue_degrees) {
    const double hue = hue_degrees * std::numbers::pi / 180.0;
    const double a = chroma * std::cos(hue);
    const double b = chroma * std::sin(hue);
    const double l = std::pow(lightness + 0.3963377774 * a + 0.2158037573 * b, 3);
    const double m = std::pow(lightness - 0.1055613458 * a - 0.0638541728 * b, 3);
    const double s = std::pow(lightness - 0.0894841775 * a - 1.2914855480 * b, 3);
    return {4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
            -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
            -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s};
}

Color from_oklch(double lightness, double chroma, double hue_degrees) {
    // Reduce the chroma until the screen has the colour: lightness, which carries the order, stays.
    std::array<double, 3> rgb = linear_rgb(lightness, chroma, hue_degrees);
    const auto outside = [](double c) { return c < -1e-4 || c > 1.0001; };
    while (chroma > 0.0 && std::any_of(rgb.begin(), rgb.end(), outside)) {
        chroma = std::max(0.0, chroma - 0.002);
        rgb = linear_rgb(lightness, chroma, hue_degrees);
    }
    Color color = 0;
    for (const double c : rgb) {
        const double linear = std::clamp(c, 0.0, 1.0);
        const double encoded =
            linear <= 0.0031308 ? 12.92 * linear : 1.055 * std::pow(linear, 1.0 / 2.4) - 0.055;
        color = (color << 8) | static_cast<Color>(std::lround(encoded * 255.0));
    }
    return color;
}

}  // namespace

Color category_color(int i) {
    constexpr std::array colors{blue, vermilion, green, purple, sky, orange, black};
    const auto count = static_cast<int>(colors.size());
    const Color base = colors[static_cast<std::size_t>(i % count)];
    switch ((i / count) % 3) {
        case 1:
            return darkened(base, 0.4);
        case 2:
            return lightened(base, 0.5);
        default:
            return base;
    }
}

Color component_color(std::string_view component) {
    constexpr std::array<std::pair<std::string_view, Color>, 31> colors{{
        {"attn_out", blue},
        {"mlp_out", vermilion},
        {"mixer_out", 0x117733},
        {"state", 0x999933},
        {"cross_ln", 0x88CCEE},
        {"cross_z", 0x6699CC},
        {"cross_attn_out", 0x332288},
        {"moe_out", 0xB3541E},
        {"ple_out", 0xAA4499},
        {"skip_out", 0x6A6A6A},
        {"resid_post", green},
        {"resid_mid", 0x66C2A5},
        {"resid_pre", 0x00553E},
        {"embed", black},
        {"pos_embed", purple},
        {"ln1", sky},
        {"z", 0x1B4F72},
        {"ln2", orange},
        {"ln_final", 0x999999},
        {"router", 0x8C564B},
        {"attn_in", 0x4477AA},
        {"mlp_in", 0xEE8866},
        {"attn_depth", 0x44AA99},
        {"mlp_depth", 0xDDCC77},
        {"attn_hc_pre", 0x77AADD},
        {"attn_hc_comb", 0x225588},
        {"attn_hc_post", 0x99DDFF},
        {"mlp_hc_pre", 0xFFAABB},
        {"mlp_hc_comb", 0x994455},
        {"mlp_hc_post", 0xEECC66},
        {"logits", 0x555555},
    }};
    for (const auto& [name, color] : colors) {
        if (name == component) return color;
    }
    return grey;
}

Color map_color(ColorMap map, double t) {
    t = std::isfinite(t) ? std::clamp(t, 0.0, 1.0) : 0.5;
    if (map == ColorMap::diverging) {
        const double strength = std::abs(2.0 * t - 1.0);
        return from_oklch(0.93 - 0.45 * strength, 0.16 * strength, t < 0.5 ? 250.0 : 45.0);
    }
    // It ends at yellow-green of lightness 0.86, not at a bright yellow, which would vanish on white paper.
    return from_oklch(0.28 + 0.58 * t, 0.125 + 0.05 * t, 300.0 - 188.0 * t);
}

Color lightened(Color color, double amount) {
    return mixed(color, 0xFFFFFF, amount);
}
Color darkened(Color color, double amount) {
    return mixed(color, 0x000000, amount);
}

}  // namespace tomograph
