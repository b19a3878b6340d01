#pragma once
#include <cstdint>

#include "tomograph/linear/simd.h"

namespace tomograph {

/// What a bundle of vertices needs for one epoch of UmapLayout.
struct UmapStep {
    int dims;              // 2 or 3
    const float* others;   // [.., dims] places that edges lead to
    const float* pushers;  // [n_pushers, dims] places that push, drawn at random
    std::int32_t n_pushers;
    float a, b;       // curve
    float repulsion;  // repulsion_strength
    float alpha;      // step
    int n_negative;   // pushes for each drawn edge
};

/// Vertices that one call of advance_vertices moves.
constexpr int umap_lanes = 32;

/// Which of a vertex's n edges are drawn in epoch `turn` (from 1): those whose counter, gaining `rate` each
/// epoch, overflows in this one, which is rate / 2^32 of all epochs. The counter starts at a hash that is the
/// same from both ends of an edge, so both draw it together. Drawn targets go to `out`, which has room for n
/// + 16. Returns how many. Levels agree to the bit.
std::int32_t draw_edges(std::int32_t vertex, const std::int32_t* targets, const std::uint32_t* rates,
                        std::int64_t n, std::uint32_t turn, std::int32_t* out,
                        SimdLevel level = simd_level());

/// Move 32 vertices along their drawn edges: lane l has counts[l] targets from targets[l * stride] on; slots
/// up to the largest count hold any valid index. position: [dims][32], in and out. random: [32] states, in
/// and out. A vertex that is drawn as its own pusher stays. counts, random and position lie on 64-byte
/// boundaries. Levels draw the same pushers; places differ by the rounding of fused products.
void advance_vertices(const UmapStep& step, const std::int32_t* targets, std::int32_t stride,
                      const std::int32_t* counts, std::uint32_t* random, float* position,
                      SimdLevel level = simd_level());

}  // namespace tomograph
