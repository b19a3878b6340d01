#pragma once
#include <cstdint>

namespace tomograph {

/// What one vector's worth of vertices needs for one epoch of UmapLayout.
struct UmapStep {
    int dims;                // 2 or 3
    const float* others[3];  // coordinates of what is looked at, one array a dimension
    std::int64_t n_others;
    float a, b;       // curve
    float repulsion;  // repulsion_strength
    float alpha;      // step
    int n_negative;
    bool skip_self;  // vertices are among the others: a vertex does not push itself
};

/// Vertices that one call of advance_vertices moves.
constexpr int umap_lanes = 16;

/// Move 16 vertices along their drawn edges. targets: [n_steps][16], lane l uses its first counts[l] steps.
/// position: [dims][16], in and out. vertex: [16] ids. random: [16] states, in and out. counts, vertex, random and
/// position lie on 64-byte boundaries.
void advance_vertices(const UmapStep& step, const std::int32_t* targets, const std::int32_t* counts,
                      std::int32_t n_steps, const std::int32_t* vertex, std::uint32_t* random,
                      float* position);

}  // namespace tomograph
