#include "tomograph/figures/raster.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace tomograph {

Raster paint(const Discs& discs, double pixels_per_point, int page_width, int page_height) {
    Raster raster;
    if (discs.x.empty()) return raster;
    // A disc thinner than a pixel is drawn a pixel wide and paler instead.
    const double true_radius = discs.radius * pixels_per_point;
    const auto radius = static_cast<float>(std::max(true_radius, 0.5));
    const auto opacity = static_cast<float>(discs.alpha * std::min(1.0, std::pow(true_radius / 0.5, 2)));
    const float reach = radius + 0.5F;

    const auto [min_x, max_x] = std::minmax_element(discs.x.begin(), discs.x.end());
    const auto [min_y, max_y] = std::minmax_element(discs.y.begin(), discs.y.end());
    const auto scale = static_cast<float>(pixels_per_point);
    raster.left = std::clamp(static_cast<int>(std::floor(*min_x * scale - reach)), 0, page_width);
    raster.bottom = std::clamp(static_cast<int>(std::floor(*min_y * scale - reach)), 0, page_height);
    raster.width =
        std::clamp(static_cast<int>(std::ceil(*max_x * scale + reach)), 0, page_width) - raster.left;
    raster.height =
        std::clamp(static_cast<int>(std::ceil(*max_y * scale + reach)), 0, page_height) - raster.bottom;
    if (raster.width <= 0 || raster.height <= 0) {
        raster.width = raster.height = 0;
        return raster;
    }

    // Premultiplied floats while we composite: with 8 bits, many faint discs would never add up.
    const auto width = static_cast<std::size_t>(raster.width);
    std::vector<std::array<float, 4>> pixels(width * static_cast<std::size_t>(raster.height));
    for (std::size_t i = 0; i < discs.x.size(); ++i) {
        const float cx = discs.x[i] * scale - static_cast<float>(raster.left);
        const float cy = discs.y[i] * scale - static_cast<float>(raster.bottom);
        const std::array<float, 3> rgb{static_cast<float>((discs.color[i] >> 16) & 0xFF) / 255.0F,
                                       static_cast<float>((discs.color[i] >> 8) & 0xFF) / 255.0F,
                                       static_cast<float>(discs.color[i] & 0xFF) / 255.0F};
        const int first_column = std::max(0, static_cast<int>(std::floor(cx - reach)));
        const int last_column = std::min(raster.width - 1, static_cast<int>(std::ceil(cx + reach)));
        const int first_row = std::max(0, static_cast<int>(std::floor(cy - reach)));
        const int last_row = std::min(raster.height - 1, static_cast<int>(std::ceil(cy + reach)));
        for (int row = first_row; row <= last_row; ++row) {
            const float dy = static_cast<float>(row) + 0.5F - cy;
            for (int column = first_column; column <= last_column; ++column) {
                const float dx = static_cast<float>(column) + 0.5F - cx;
                const float coverage = std::min(1.0F, reach - std::sqrt(dx * dx + dy * dy));
                if (coverage <= 0.0F) continue;
                const float alpha = opacity * coverage;
                auto& pixel =
                    pixels[static_cast<std::size_t>(row) * width + static_cast<std::size_t>(column)];
                for (std::size_t c = 0; c < 3; ++c) pixel[c] = rgb[c] * alpha + pixel[c] * (1.0F - alpha);
                pixel[3] = alpha + pixel[3] * (1.0F - alpha);
            }
        }
    }
    raster.rgba.reserve(pixels.size() * 4);
    for (const auto& pixel : pixels) {
        for (std::size_t c = 0; c < 3; ++c) {
            const float straight = pixel[3] > 0.0F ? pixel[c] / pixel[3] : 0.0F;
            raster.rgba.push_back(
                static_cast<std::uint8_t>(std::lround(std::clamp(straight, 0.0F, 1.0F) * 255.0F)));
        }
        raster.rgba.push_back(
            static_cast<std::uint8_t>(std::lround(std::clamp(pixel[3], 0.0F, 1.0F) * 255.0F)));
    }
    return raster;
}

}  // namespace tomograph
