#pragma once
#include <cstdint>

#include "tomograph/linear/simd.h"

namespace tomograph {

/// Pushers that are drawn at once, one after the other from a place drawn at random.
constexpr int umap_run = 16;

/// What the vertices of a graph need for one epoch of UmapLayout.
struct UmapStep {
    int dims;                     // 2 or 3
    const std::int64_t* offsets;  // [n + 1] the edges of a vertex
    const std::int32_t* targets;  // where each leads: an index into others
    const std::uint32_t* rates;   // drawn in rate / 2^32 of the epochs
    std::uint32_t turn;           // this epoch, from 1
    const float* others;          // [.., dims] places that edges lead to
    const float* pushers[3];  // by dimension: places in random order, the first umap_run - 1 again at the end
    std::int32_t n_pushers;   // without those
    float a, b;               // curve
    float repulsion;          // repulsion_strength
    float alpha;              // step
    int n_negative;           // pushes for each drawn edge
};

/// Which of a vertex's n edges are drawn in epoch `turn` (from 1): those whose counter, gaining `rate` each
/// epoch, overflows in this one, which is rate / 2^32 of all epochs. The counter starts at a hash that is the
/// same from both ends of an edge, so both draw it together. Drawn targets go to `out`, which has room for n
/// + 16. Returns how many. Levels agree to the bit.
std::int32_t draw_edges(std::int32_t vertex, const std::int32_t* targets, const std::uint32_t* rates,
                        std::int64_t n, std::uint32_t turn, std::int32_t* out,
                        SimdLevel level = simd_level());

/// Move the vertices [begin, end) along their drawn edges and away from pushers, from where `places` [n,
/// dims] has them, in and out. key: of this epoch, from which (and a vertex's number) pushers are drawn.
/// drawn: room for the edges of any of them, + 16. A vertex that is drawn as its own pusher stays. Levels
/// draw the same edges and pushers; places differ by the rounding of fused products and by the order of sums.
void advance_vertices(const UmapStep& step, std::int64_t begin, std::int64_t end, std::uint64_t key,
                      std::int32_t* drawn, float* places, SimdLevel level = simd_level());

}  // namespace tomograph
