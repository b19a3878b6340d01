#include "tomograph/base/random.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

namespace tomograph {

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
