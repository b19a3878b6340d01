#include "tomograph/base/random.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <numeric>

namespace tomograph {
namespace {

/// Layers of equal area under exp(-x^2 / 2), the base with the tail first: layer i reaches from 0 to edge[i],
/// and what lies within edge[i + 1] is under the curve for sure.
struct Ziggurat {
    static constexpr int layers = 256;
    static constexpr double tail = 3.6541528853610088, area = 0.00492867323399;
    std::array<double, layers + 1> edge{};

    static double curve(double x) { return std::exp(-0.5 * x * x); }
    Ziggurat() {
        edge[0] = area / curve(tail);
        edge[1] = tail;
        for (std::size_t i = 2; i < layers; ++i)
            edge[i] = std::sqrt(-2 * std::log(area / edge[i - 1] + curve(edge[i - 1])));
    }
    double draw(Rng& rng) const {
        while (true) {
            const std::uint64_t bits = rng();
            const std::size_t layer = bits % layers;  // the low bits; to_unit takes the high ones
            const double x = (2 * to_unit(bits) - 1) * edge[layer];
            if (std::abs(x) < edge[layer + 1]) return x;
            if (layer == 0) return std::copysign(beyond(rng), x);
            const double low = curve(edge[layer]), high = curve(edge[layer + 1]);
            if (low + rng.uniform() * (high - low) < curve(x)) return x;
        }
    }
    static double beyond(Rng& rng) {
        while (true) {
            const double x = -std::log(1 - rng.uniform()) / tail, y = -std::log(1 - rng.uniform());
            if (2 * y > x * x) return tail + x;
        }
    }
};

}  // namespace

void draw_normals(Rng& rng, std::span<float> out) {
    static const Ziggurat ziggurat;
    for (float& one : out) one = static_cast<float>(ziggurat.draw(rng));
}

double Rng::normal() {
    const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
    return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

std::vector<std::int64_t> sample_indices(std::int64_t n, std::int64_t count, std::uint64_t seed) {
    std::vector<std::int64_t> chosen;
    if (count >= n) {
        chosen.resize(static_cast<std::size_t>(std::max<std::int64_t>(n, 0)));
        std::iota(chosen.begin(), chosen.end(), std::int64_t{0});
        return chosen;
    }
    // Selection sampling (Knuth, Algorithm S): one pass, ascending, exactly `count`.
    Rng rng(seed);
    chosen.reserve(static_cast<std::size_t>(std::max<std::int64_t>(count, 0)));
    std::int64_t wanted = count;
    for (std::int64_t i = 0; i < n && wanted > 0; ++i) {
        if (rng.below(static_cast<std::uint64_t>(n - i)) < static_cast<std::uint64_t>(wanted)) {
            chosen.push_back(i);
            --wanted;
        }
    }
    return chosen;
}

std::vector<std::int64_t> permutation(std::int64_t n, std::uint64_t seed) {
    std::vector<std::int64_t> order(static_cast<std::size_t>(n));
    std::iota(order.begin(), order.end(), std::int64_t{0});
    Rng rng(seed);
    for (std::int64_t i = n - 1; i > 0; --i) {
        std::swap(order[static_cast<std::size_t>(i)],
                  order[static_cast<std::size_t>(rng.below(static_cast<std::uint64_t>(i + 1)))]);
    }
    return order;
}

}  // namespace tomograph
