#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace tomograph {

/// splitmix64's finaliser: a hash that turns counters into independent-looking bits. Stateless random numbers
/// are what keeps results equal at any number of threads.
constexpr std::uint64_t mix(std::uint64_t x) {
    x += 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}
constexpr std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
    return mix(mix(a) ^ b);
}
constexpr std::uint64_t mix(std::uint64_t a, std::uint64_t b, std::uint64_t c) {
    return mix(mix(a, b), c);
}

/// Uniform in [0, 1) from a hash.
constexpr double to_unit(std::uint64_t hash) {
    return static_cast<double>(hash >> 11) * 0x1.0p-53;
}

__extension__ using Wide = unsigned __int128;

/// A small seeded generator (splitmix64's finaliser over a counter). The same seed gives the same numbers on
/// every machine, unlike the distributions of <random>. The counter starts at the seed's hash: counted from
/// the seed itself, seed 1 would repeat the numbers of seed 0 shifted by one.
class Rng {
  public:
    using result_type = std::uint64_t;
    explicit Rng(std::uint64_t seed) : state_(mix(seed)) {}
    std::uint64_t operator()() { return mix(state_++); }
    static constexpr std::uint64_t min() { return 0; }
    static constexpr std::uint64_t max() { return ~std::uint64_t{0}; }
    /// Uniform in [0, 1).
    double uniform() { return to_unit((*this)()); }
    /// Uniform in [0, n), n > 0.
    std::uint64_t below(std::uint64_t n) {
        return static_cast<std::uint64_t>((static_cast<Wide>((*this)()) * n) >> 64);
    }
    /// Standard normal (Box-Muller, one of the pair).
    double normal();

  private:
    std::uint64_t state_;
};

/// Standard normals for millions of places, five times as fast as Rng::normal(): Marsaglia and Tsang's
/// ziggurat of 256 layers (2000), layer and place drawn from different bits as Doornik (2005) asks.
void draw_normals(Rng& rng, std::span<float> out);

/// `count` distinct indices below `n` in ascending order, chosen by seed; all of them when count >= n.
std::vector<std::int64_t> sample_indices(std::int64_t n, std::int64_t count, std::uint64_t seed);

/// A seeded permutation of 0..n-1 (Fisher-Yates).
std::vector<std::int64_t> permutation(std::int64_t n, std::uint64_t seed);

}  // namespace tomograph
